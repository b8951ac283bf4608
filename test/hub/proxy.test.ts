import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer, request as httpRequest } from "node:http";
import { type AddressInfo, connect, type Server } from "node:net";
import { join } from "node:path";
import { text as readAll } from "node:stream/consumers";
import { after, beforeEach, describe, it } from "node:test";
import { createServer as createTlsServer } from "node:tls";
import { fileURLToPath } from "node:url";
import { proxyFor } from "../../src/hub/proxy.js";
import { HubServer } from "../helpers/hub-server.js";
import { LIKE_OTHERS } from "../helpers/tested-isas.js";
import { REPOSITORY, temporaryFolder } from "./support.js";

const SCRIPT = fileURLToPath(new URL("./fetch-process.js", import.meta.url));
const server = await HubServer.start({ ...REPOSITORY, lfs: /^none$/ });

/** A proxy that knows one user. */
const asked: string[] = [];
const proxy = createServer((request, response) => {
  asked.push(`${request.method} ${request.url}`);
  if (request.headers["proxy-authorization"] !== `Basic ${btoa("me:pass word")}`) {
    response.writeHead(407).end();
    return;
  }
  const forwarded = httpRequest(request.url!, { method: request.method!, headers: request.headers }, (answer) => {
    response.writeHead(answer.statusCode!, answer.headers);
    answer.pipe(response);
  });
  request.pipe(forwarded);
});
proxy.on("connect", ({ url = "", headers }, socket) => {
  asked.push(`CONNECT ${url}`);
  if (headers["proxy-authorization"] !== `Basic ${btoa("me:pass word")}`) {
    socket.end("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
    return;
  }
  const [host = "", port] = url.split(":");
  const onward = connect(Number(port), host, () => {
    socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
    onward.pipe(socket).pipe(onward);
  });
  for (const end of [socket, onward]) end.on("error", () => onward.destroy());
});

const portOf = (each: Server): number => (each.address() as AddressInfo).port;
const listen = (each: Server): Promise<void> => new Promise((resolve) => each.listen(0, "127.0.0.1", resolve));
await listen(proxy);
after(async () => {
  proxy.closeAllConnections();
  proxy.close();
  await server.close();
});
beforeEach(() => {
  asked.length = 0;
  server.reset();
});

/** Fetches in a new process, since the proxy and the certificates come from its environment. */
async function run(endpoint: string, env: Record<string, string>) {
  const args = [SCRIPT, endpoint, temporaryFolder(), "owner/model"];
  const child = spawn(process.execPath, args, { env: { ...process.env, no_proxy: "", NO_PROXY: "", ...env } });
  const [stdout, stderr] = await Promise.all([readAll(child.stdout), readAll(child.stderr)]);
  return { stdout, stderr };
}

function makeCertificate(): { key: string; cert: string; path: string } | undefined {
  const folder = temporaryFolder();
  const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  const name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
  const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  try {
    execFileSync("openssl", ["req", "-x509", ...kind, ...name, "-keyout", key, "-out", cert], { stdio: "ignore" });
  } catch {
    return undefined;
  }
  return { key: readFileSync(key, "utf8"), cert: readFileSync(cert, "utf8"), path: cert };
}

describe("a proxy", () => {
  const address = `http://me:pass%20word@127.0.0.1:${portOf(proxy)}`;

  it("is used for plain addresses", async () => {
    const { stdout, stderr } = await run(server.endpoint, { http_proxy: address });
    assert.equal(stderr, "");
    assert.match(stdout, /"type":"path"/);
    assert.equal(asked[0], `GET ${server.endpoint}/api/models/owner/model/revision/main`);
    assert.equal(asked.length, server.requests.length, "nothing goes past it");
  });

  const certificate = makeCertificate();
  it("opens a tunnel for https", { skip: certificate ? LIKE_OTHERS : "openssl is not installed" }, async () => {
    const secure = createTlsServer({ key: certificate!.key, cert: certificate!.cert }, (socket) => {
      const onward = connect(Number(new URL(server.endpoint).port), "127.0.0.1");
      socket.pipe(onward).pipe(socket);
      for (const end of [socket, onward]) end.on("error", () => onward.destroy());
    });
    await listen(secure);
    const endpoint = `https://localhost:${portOf(secure)}`;
    const trusted = { HTTPS_PROXY: address, NODE_EXTRA_CA_CERTS: certificate!.path };
    const { stdout, stderr } = await run(endpoint, trusted);
    assert.equal(stderr, "");
    assert.match(stdout, /"type":"path"/);
    assert.deepEqual([...new Set(asked)], [`CONNECT localhost:${portOf(secure)}`]);
    assert.equal(server.requests[0]!.url, "/api/models/owner/model/revision/main");
    const distrusted = await run(endpoint, { HTTPS_PROXY: address });
    assert.match(distrusted.stderr, /DownloadError.*a self-signed certificate.*NODE_EXTRA_CA_CERTS/);
    const unknown = await run(endpoint, { ...trusted, HTTPS_PROXY: `http://127.0.0.1:${portOf(proxy)}` });
    assert.match(unknown.stderr, /DownloadError.*refuses the connection \(status 407\)/);
    secure.close();
  });

  it("is the one named by the environment, except for excluded hosts", () => {
    const route = (url: string, env: Record<string, string>) => proxyFor(new URL(url), env)?.proxy.host;
    assert.equal(route("https://a.b/", {}), undefined);
    assert.equal(route("https://a.b/", { HTTPS_PROXY: "p:1" }), "p:1");
    assert.equal(route("http://a.b/", { HTTPS_PROXY: "p:1" }), undefined);
    assert.equal(route("http://a.b/", { http_proxy: "http://p:1", HTTP_PROXY: "http://q:1" }), "p:1");
    assert.equal(route("https://a.b/", { ALL_PROXY: "http://p" }), "p");
    assert.equal(route("https://a.b/", { ALL_PROXY: "socks5://p:1" }), undefined);
    for (const except of ["*", "a.b", ".b", "b", "*.b", "x,a.b:443", "X A.B"]) {
      assert.equal(route("https://a.b/", { HTTPS_PROXY: "p:1", NO_PROXY: except }), undefined, except);
    }
    for (const other of ["", "c.b", "a.b:80", "ba.b", ".a.b.c", "a"]) {
      assert.equal(route("https://a.b/", { HTTPS_PROXY: "p:1", no_proxy: other }), "p:1", other);
    }
  });
});
