/** Replaces every module of `#node/…` (package.json, `imports`) in a browser bundle, where none of them is called. */
export {};
