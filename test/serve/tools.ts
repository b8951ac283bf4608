import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { packageFile } from "../../src/util/package-root.js";

const require = createRequire(packageFile("test/package/tools/package.json"));

/** A package of test/package/tools, which `npm run test:all` installs; undefined if it is missing. */
// biome-ignore lint/suspicious/noExplicitAny: types of packages that are not installed
export async function tool(name: string): Promise<any> {
  let path: string;
  try {
    path = require.resolve(name);
  } catch {
    return undefined;
  }
  return import(pathToFileURL(path).href);
}

/** The text of a file in such a package. */
export const toolFile = (name: string): string => require.resolve(name);
