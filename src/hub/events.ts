/** Progress of a download. */
export type DownloadEvent =
  /** The download of a file starts, or resumes after `resumedFrom` bytes. */
  | {
      readonly type: "file";
      readonly file: string;
      /** Bytes in all, if known. */
      readonly size: number | undefined;
      readonly resumedFrom: number;
    }
  /** Bytes received so far. May decrease, where a server forces a restart. */
  | { readonly type: "bytes"; readonly file: string; readonly received: number }
  /** The file is complete and verified. */
  | { readonly type: "done"; readonly file: string; readonly size: number }
  /** A failure is retried after `seconds`, or another program has to finish first (no `seconds`). */
  | { readonly type: "wait"; readonly file: string; readonly seconds?: number; readonly message: string }
  /** A notice for the user: the hub is unreachable, and an earlier copy is used. */
  | { readonly type: "notice"; readonly message: string };
