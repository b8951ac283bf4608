/** Stands in for every module of `#node/…` (package.json, `imports`) in a bundle for browsers, where none is called. */
export {};
