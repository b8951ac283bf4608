import assert from "node:assert/strict";
import { chmodSync, mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, beforeEach, describe, it } from "node:test";
import { redirectOf } from "../../src/hub/http.js";
import type { Fault } from "../helpers/faulty-http.js";
import { HubServer, type SeenRequest, sha256 } from "../helpers/hub-server.js";
import { type Fetching, failsWith, fetching, fileOf, REPOSITORY, WEIGHTS } from "./support.js";

const server = await HubServer.start(REPOSITORY);
after(() => server.close());
beforeEach(() => server.reset());

/** A fault of the n-th requests to the CDN (all of them by default). */
function onCdn(fault: Fault, ...which: number[]): (request: SeenRequest) => Fault | undefined {
  let count = 0;
  return ({ where }) => (where === "cdn" && (which.length === 0 || which.includes(++count)) ? fault : undefined);
}

const BLOB = sha256(WEIGHTS);
const blobs = ({ cacheDir }: Fetching): string => join(cacheDir, "models--owner--model/blobs");
/** The incomplete files of the weights. */
const partials = (fetching: Fetching): string[] => {
  return readdirSync(blobs(fetching)).filter((name) => name.endsWith(".incomplete"));
};
const ranges = (): (string | undefined)[] =>
  server.requests.filter((r) => r.where === "cdn").map((r) => r.headers.range);

describe("a broken transfer", () => {
  it("is resumed within one command", async () => {
    const one = fetching(server);
    server.fault = onCdn({ cutAfter: 100_000 }, 1, 2);
    assert.deepEqual(fileOf(await one.fetch(), "model.safetensors"), WEIGHTS);
    assert.deepEqual(ranges(), [undefined, "bytes=100000-", "bytes=200000-"]);
    assert.deepEqual(partials(one), []);
    const waits = one.events.filter(({ type }) => type === "wait");
    assert.equal(waits.length, 2);
    assert.match(JSON.stringify(waits[0]), /broke off after 100 kB of 300 kB/);
  });

  it("is resumed by the next command", async () => {
    const one = fetching(server);
    let first = true;
    server.fault = ({ where }) => {
      if (where !== "cdn") return undefined;
      const fault = { cutAfter: first ? 123_456 : 1 };
      first = false;
      return fault;
    };
    await assert.rejects(
      one.fetch(),
      failsWith("interrupted", /model\.safetensors of owner\/model/, /123 kB of 300 kB/, /to resume/),
    );
    assert.equal(partials(one).length, 1);
    server.reset();
    const model = await one.fetch();
    assert.deepEqual(fileOf(model, "model.safetensors"), WEIGHTS);
    assert.deepEqual(
      ranges(),
      ["bytes=123460-"],
      "a byte a time is no progress: four more tries, then the next command",
    );
    assert.deepEqual(partials(one), []);
    const begun = one.events.filter((event) => event.type === "file" && event.file === "model.safetensors");
    assert.deepEqual(
      begun.map((event) => event.type === "file" && event.resumedFrom),
      [0, 123_460],
    );
  });

  it("restarts and ends if the server does not support ranges", async () => {
    const one = fetching(server);
    let count = 0;
    server.fault = ({ where }) =>
      where === "cdn" ? { ignoreRange: true, ...(count++ === 0 && { cutAfter: 50_000 }) } : undefined;
    assert.deepEqual(fileOf(await one.fetch(), "model.safetensors"), WEIGHTS);
    const again = fetching(server);
    server.fault = onCdn({ ignoreRange: true, cutAfter: 50_000 });
    await assert.rejects(again.fetch(), failsWith("interrupted"));
    assert.equal(ranges().length, 2 + 5);
  });

  it("is abandoned after stalling for a while", async () => {
    const one = fetching(server);
    server.fault = onCdn({ stallAfter: 150_000 }, 1);
    assert.deepEqual(fileOf(await one.fetch(), "model.safetensors"), WEIGHTS);
    assert.deepEqual(ranges(), [undefined, "bytes=150000-"]);
  });

  it("is retried if it breaks before the response", async () => {
    const one = fetching(server);
    server.fault = onCdn({ hangUp: true }, 1, 2);
    await one.fetch();
    assert.equal(server.count("cdn"), 3);
  });

  it("stops when aborted, and keeps the received part", async () => {
    const one = fetching(server);
    const controller = new AbortController();
    server.fault = onCdn({ stallAfter: 150_000 });
    const onEvent: Fetching["events"]["push"] = (event) => {
      if (event?.type === "bytes" && event.received >= 150_000) controller.abort();
      return 0;
    };
    await assert.rejects(one.fetch("owner/model", { signal: controller.signal, onEvent }), { name: "AbortError" });
    assert.equal(partials(one).length, 1);
    server.reset();
    await one.fetch();
    assert.deepEqual(ranges(), ["bytes=150000-"]);
  });
});

describe("received data", () => {
  it("is compared with its checksum, large files and small ones", async () => {
    const one = fetching(server);
    server.fault = onCdn({ corrupt: true });
    await assert.rejects(
      one.fetch(),
      failsWith("checksum", new RegExp(`SHA-256 ${BLOB.slice(0, 16)}`), /has been removed/),
    );
    assert.deepEqual(partials(one), []);
    assert.ok(!readdirSync(blobs(one)).includes(BLOB));
    const other = fetching(server);
    server.fault = ({ where, method }) => (where === "resolve" && method === "GET" ? { corrupt: true } : undefined);
    await assert.rejects(other.fetch(), failsWith("checksum", /config\.json/, /git SHA-1/));
  });

  it("restarts from the beginning if it does not fit an earlier attempt's part", async () => {
    const one = fetching(server);
    mkdirSync(blobs(one), { recursive: true });
    writeFileSync(join(blobs(one), `${BLOB}.incomplete`), new Uint8Array(1000));
    writeFileSync(join(blobs(one), `${BLOB}.0123abcd.incomplete`), new Uint8Array(2000));
    writeFileSync(join(blobs(one), `${BLOB}.other`), "not one of them");
    assert.deepEqual(fileOf(await one.fetch(), "model.safetensors"), WEIGHTS);
    assert.deepEqual(ranges(), ["bytes=2000-", undefined]);
    assert.deepEqual(partials(one), []);
    assert.ok(readdirSync(blobs(one)).includes(`${BLOB}.other`));
  });

  it("is resumed from an incomplete file of Python's huggingface_hub", async () => {
    for (const name of [`${BLOB}.incomplete`, `${BLOB}.0123abcd.incomplete`]) {
      const one = fetching(server);
      mkdirSync(blobs(one), { recursive: true });
      writeFileSync(join(blobs(one), name), WEIGHTS.subarray(0, 200_000));
      server.reset();
      assert.deepEqual(fileOf(await one.fetch(), "model.safetensors"), WEIGHTS);
      assert.deepEqual(ranges(), ["bytes=200000-"]);
    }
  });

  it("is complete if an attempt was stopped just before its end, and dropped if it is too long", async () => {
    for (const [left, expected] of [
      [WEIGHTS, []],
      [new Uint8Array(300_001), [undefined]],
    ] as const) {
      const one = fetching(server);
      mkdirSync(blobs(one), { recursive: true });
      writeFileSync(join(blobs(one), `${BLOB}.incomplete`), left);
      server.reset();
      assert.deepEqual(fileOf(await one.fetch(), "model.safetensors"), WEIGHTS);
      assert.deepEqual(ranges(), expected);
    }
  });

  it("must not be a web page", async () => {
    const page = { headers: { "Content-Type": "text/html; charset=utf-8" }, body: "<html>Please log in</html>" };
    const one = fetching(server);
    server.fault = onCdn({ instead: page });
    await assert.rejects(one.fetch(), failsWith("unexpected", /an HTML page, from http:\/\/127/, /login page/));
    assert.deepEqual(partials(one), []);
    for (const where of ["api", "resolve"]) {
      const other = fetching(server);
      server.fault = (request) => (request.where === where ? { instead: page } : undefined);
      await assert.rejects(other.fetch(), failsWith("unexpected", /a response unlike a hub's|without a hub's headers/));
    }
  });

  it("must have the announced size", async () => {
    for (const body of [WEIGHTS.subarray(0, 1000), new Uint8Array(400_000)]) {
      const one = fetching(server);
      server.fault = onCdn({ instead: { body } });
      await assert.rejects(one.fetch(), failsWith("unexpected", /expected 300000 bytes, got (1000|400000)/));
    }
  });

  it("must be the requested range", async () => {
    const one = fetching(server);
    const headers = { "Content-Range": "bytes 5-9/300000" };
    let count = 0;
    server.fault = ({ where }) => {
      if (where !== "cdn") return undefined;
      return count++ === 0 ? { cutAfter: 1000 } : { instead: { status: 206, headers, body: "12345" } };
    };
    await assert.rejects(one.fetch(), failsWith("unexpected", /bytes from 1000 on, got the range bytes 5-9/));
  });
});

describe("a server's error responses", () => {
  it("are retried after the requested wait if they are temporary", async () => {
    for (const [where, headers, seconds] of [
      ["api", { "Retry-After": "0" }, 0],
      ["resolve", { "Retry-After": new Date(0).toUTCString() }, 0],
      ["cdn", { RateLimit: '"resolvers";r=0;t=0' }, 1],
      ["cdn", {}, 0.005],
    ] as const) {
      const one = fetching(server);
      let refused = false;
      server.fault = (request) => {
        if (refused || request.where !== where) return undefined;
        refused = true;
        return { instead: { status: 429, headers, body: "slow down" } };
      };
      await one.fetch();
      const [wait] = one.events.filter((event) => event.type === "wait");
      assert.match(wait!.message, /too many requests \(429\)/);
      assert.equal(wait!.seconds, seconds);
    }
  });

  it("are reported, with the number of attempts, if they persist", async () => {
    for (const [status, reason] of [
      [429, "rate-limited"],
      [500, "server"],
      [503, "server"],
    ] as const) {
      const one = fetching(server);
      server.reset();
      server.fault = onCdn({ instead: { status, body: "" } });
      await assert.rejects(one.fetch(), failsWith(reason, new RegExp(`\\(${status}\\)`)));
      assert.equal(server.count("cdn"), 5);
    }
  });

  it("are reported at once if the wait is too long", async () => {
    const one = fetching(server);
    server.fault = ({ where }) =>
      where === "api" ? { instead: { status: 429, headers: { "Retry-After": "7200" }, body: "" } } : undefined;
    await assert.rejects(one.fetch(), failsWith("rate-limited"));
    assert.equal(server.count("api"), 1);
  });

  it("of other kinds are reported at once", async () => {
    for (const [status, reason] of [
      [401, "unauthorized"],
      [403, "forbidden"],
      [404, "not-found"],
      [418, "unexpected"],
    ] as const) {
      const one = fetching(server);
      server.reset();
      server.fault = onCdn({ instead: { status, body: "" } });
      await assert.rejects(one.fetch(), failsWith(reason, new RegExp(`${status}`)));
      assert.equal(server.count("cdn"), 1);
    }
  });

  it("and endless redirects, or redirects to other protocols, are refused", async () => {
    const one = fetching(server);
    for (const location of ["/again", "file:///etc/passwd", "ftp://127.0.0.1/x"]) {
      const instead = { status: 302, headers: { Location: location }, body: "" };
      server.fault = ({ where }) => (where === "cdn" ? { instead } : undefined);
      await assert.rejects(one.fetch(), failsWith("unexpected", /redirect/));
    }
  });
});

describe("redirects", () => {
  const from = (url: string, location: string) =>
    redirectOf({ url: new URL(url), status: 302, headers: { location }, body: undefined as never });

  it("never go from https to http", () => {
    assert.throws(() => from("https://a.example/x", "http://a.example/x"), failsWith("unexpected", /redirect/));
    assert.equal(from("https://a.example/x", "/y")!.target.href, "https://a.example/y");
    assert.equal(from("http://a.example/x", "https://a.example/x")!.target.protocol, "https:");
  });

  it("to another host, port or protocol count as another origin", () => {
    for (const location of ["https://b.example/x", "https://a.example:444/x"]) {
      assert.equal(from("https://a.example/x", location)!.crossOrigin, true, location);
    }
    assert.equal(from("http://a.example/x", "https://a.example/x")!.crossOrigin, true);
    assert.equal(from("https://a.example/x", "/y")!.crossOrigin, false);
  });
});

describe("the disk", () => {
  it("without room for a file is reported before anything is fetched", async () => {
    const one = fetching(server);
    server.fault = ({ where, method, url }) => {
      if (where !== "resolve" || method !== "HEAD" || !url.includes("model.safetensors")) return undefined;
      const headers = {
        "X-Repo-Commit": REPOSITORY.commit,
        "X-Linked-Etag": `"${BLOB}"`,
        "X-Linked-Size": String(10 ** 18),
      };
      return { instead: { status: 302, headers: { ...headers, Location: `${server.cdn}/x` }, body: "" } };
    };
    await assert.rejects(one.fetch(), failsWith("disk-full", /1000000 TB free in .*blobs/, /HF_HOME/));
    assert.equal(server.count("cdn"), 0);
    assert.deepEqual(partials(one), []);
  });

  it("is reported if it is not writable", {
    skip: process.getuid?.() === 0 && "root may write anywhere",
  }, async () => {
    const one = fetching(server);
    chmodSync(one.cacheDir, 0o555);
    await assert.rejects(one.fetch(), failsWith("not-writable", /no permission/));
  });

  it("is reported if a file is where the cache should be", async () => {
    const one = fetching(server);
    writeFileSync(join(one.cacheDir, "models--owner--model"), "");
    await assert.rejects(one.fetch(), failsWith("not-writable", /runs through a file/));
  });
});

describe("an old incomplete file", () => {
  it("keeps its bytes when it is taken over", async () => {
    const one = fetching(server);
    mkdirSync(blobs(one), { recursive: true });
    const path = join(blobs(one), `${BLOB}.89abcdef.incomplete`);
    writeFileSync(path, WEIGHTS.subarray(0, 1000));
    utimesSync(path, 1, 1);
    server.fault = onCdn({ instead: { status: 404, body: "" } });
    await assert.rejects(one.fetch(), failsWith("not-found"));
    const [kept] = partials(one);
    assert.deepEqual(new Uint8Array(readFileSync(join(blobs(one), kept!))), WEIGHTS.slice(0, 1000));
  });
});
