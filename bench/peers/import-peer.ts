/** The packages installed in bench/peers, which the project itself does not depend on. */
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { packageFile } from "../../src/util/package-root.js";

/** A CommonJS package, whose exported names an import does not always find. */
export const peerRequire = createRequire(packageFile("bench/peers/package.json"));

/** The folder in which a package is installed. */
export const peerFolder = (name: string): string => packageFile(`bench/peers/node_modules/${name}`);

const manifest = (name: string): string => join(peerFolder(name), "package.json");

export function isInstalled(name: string): boolean {
  return existsSync(manifest(name));
}

export function peerVersion(name: string): string {
  return (JSON.parse(readFileSync(manifest(name), "utf8")) as { version: string }).version;
}

export async function importPeer(name: string): Promise<unknown> {
  return import(pathToFileURL(peerRequire.resolve(name)).href);
}
