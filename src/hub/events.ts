/** What happens while a model is fetched. */
export type DownloadEvent =
  /** A file is begun, or gone on with after `resumedFrom` bytes. */
  | {
      readonly type: "file";
      readonly file: string;
      /** Bytes in all, if known. */
      readonly size: number | undefined;
      readonly resumedFrom: number;
    }
  /** So many bytes of it are there. May become less, where a server makes us begin again. */
  | { readonly type: "bytes"; readonly file: string; readonly received: number }
  /** It is whole and checked. */
  | { readonly type: "done"; readonly file: string; readonly size: number }
  /** Something failed and is tried again in so many seconds, or another program must finish first (no seconds). */
  | { readonly type: "wait"; readonly file: string; readonly seconds?: number; readonly message: string }
  /** Worth telling: the hub cannot be reached, and what was fetched earlier is used. */
  | { readonly type: "notice"; readonly message: string };
