import { request } from "node:http";
import { Agent } from "node:https";
import { isIP } from "node:net";
import type { Duplex } from "node:stream";
import { connect as tlsConnect } from "node:tls";

/**
 * HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, in upper or lower case, as curl and Python read them. For http the
 * proxy is asked for the full address (RFC 9112, section 3.2.2); for https a tunnel is opened through it with CONNECT.
 */
export interface ProxyRoute {
  readonly proxy: URL;
  /** `Proxy-Authorization`, if the proxy's address has a user. */
  readonly headers: Readonly<Record<string, string>>;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** The proxy for an address, or undefined for a direct connection. Proxies other than http are ignored. */
export function proxyFor(url: URL, env: Environment = process.env): ProxyRoute | undefined {
  const read = (name: string): string => env[name.toLowerCase()] || env[name] || "";
  const named = read(url.protocol === "https:" ? "HTTPS_PROXY" : "HTTP_PROXY") || read("ALL_PROXY");
  if (named === "" || isExempt(url, read("NO_PROXY"))) return undefined;
  const text = named.includes("://") ? named : `http://${named}`;
  if (!URL.canParse(text)) return undefined;
  const proxy = new URL(text);
  if (proxy.protocol !== "http:") return undefined;
  const { username, password } = proxy;
  if (username === "") return { proxy, headers: {} };
  const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { proxy, headers: { "Proxy-Authorization": `Basic ${Buffer.from(credentials).toString("base64")}` } };
}

/** NO_PROXY: `*`, or host names (each with its subdomains), with or without a port. */
function isExempt({ hostname, port, protocol }: URL, list: string): boolean {
  const actualPort = port || (protocol === "https:" ? "443" : "80");
  return list.split(/[\s,]+/).some((entry) => {
    if (entry === "") return false;
    if (entry === "*") return true;
    const [, name = "", entryPort] = /^\*?\.?(.*?)(?::(\d+))?$/.exec(entry.toLowerCase()) ?? [];
    if (entryPort !== undefined && entryPort !== actualPort) return false;
    return hostname === name || hostname.endsWith(`.${name}`);
  });
}

/** An agent whose connections are TLS in a tunnel through the proxy. */
export function tunnelAgent(route: ProxyRoute, timeout: number): Agent {
  const agent = new Agent();
  agent.createConnection = (options, done) => {
    const { host = "", port } = options as { host?: string; port?: number };
    openTunnel(route, `${host.includes(":") ? `[${host}]` : host}:${port}`, timeout).then(
      (socket) => done?.(null, tlsConnect({ socket, ...(isIP(host) === 0 && { servername: host }) })),
      (error: Error) => done?.(error, undefined as unknown as Duplex),
    );
    return undefined;
  };
  return agent;
}

function openTunnel({ proxy, headers }: ProxyRoute, target: string, timeout: number): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const { hostname, port, host } = proxy;
    const options = { host: hostname, port: port || 80, agent: false, timeout };
    const connect = request({ ...options, method: "CONNECT", path: target, headers: { Host: target, ...headers } });
    connect.once("timeout", () => connect.destroy(new Error(`the proxy ${host} does not respond`)));
    connect.once("error", reject);
    connect.once("connect", ({ statusCode }, socket) => {
      if (statusCode === 200) return resolve(socket);
      socket.destroy();
      reject(new Error(`the proxy ${host} refuses the connection (status ${statusCode})`));
    });
    connect.end();
  });
}
