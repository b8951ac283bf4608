/** Functions of the C library that Node lacks, through koffi. Undefined where koffi or the function is missing. */
import { requireKoffi } from "./package-root.js";

export interface SystemCalls {
  /** flock(2) on an open file. */
  readonly flock?: (fd: number, operation: number) => "done" | "held" | "unsupported";
  /** Exchanges two paths atomically. False where the file system can't. */
  readonly exchange?: (a: string, b: string) => boolean;
}

let known: SystemCalls | undefined;

export function systemCalls(): SystemCalls {
  known ??= process.platform === "win32" ? {} : load();
  return known;
}

const AT_FDCWD = -100;
const RENAME_EXCHANGE = 2;
const RENAME_SWAP = 2;

function load(): SystemCalls {
  let koffi: typeof import("koffi");
  let library: ReturnType<typeof koffi.load>;
  try {
    koffi = requireKoffi();
    // The C library to which this process itself is linked.
    library = koffi.load(null);
  } catch {
    return {};
  }
  const find = (signature: string) => {
    try {
      return library.func(signature);
    } catch {
      return undefined;
    }
  };
  const flock = find("int flock(int fd, int operation)");
  // The first is Linux's, the second macOS's; older C libraries have neither.
  const renameat2 = find("int renameat2(int, const char *, int, const char *, unsigned int)");
  const renamex = find("int renamex_np(const char *, const char *, unsigned int)");
  const { EAGAIN, EACCES } = koffi.os.errno;
  return {
    ...(flock && {
      flock: (fd, operation) => {
        if (flock(fd, operation) === 0) return "done";
        const errno = koffi.errno();
        return errno === EAGAIN || errno === EACCES ? "held" : "unsupported";
      },
    }),
    ...(renameat2 && { exchange: (a, b) => renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE) === 0 }),
    ...(renamex && { exchange: (a, b) => renamex(a, b, RENAME_SWAP) === 0 }),
  };
}
