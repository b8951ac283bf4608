/** `gpt2-ts/evaluate` in Node: all of index.ts, and data sets, filters, journals and reports in files. */
export { fetchedSource, folderSource } from "./data/node-sources.js";
export { PUBLISHED, type PublishedFile } from "./data/published.js";
export * from "./index.js";
export { journalFile } from "./journal-file.js";
export { type BuildFilterOptions, type BuildFilterProgress, buildNgramFilter } from "./overlap/build-filter.js";
export { type FileOverlapOptions, fileOverlap } from "./overlap/file-overlap.js";
export { loadNgramFilter, saveNgramFilter } from "./overlap/filter-file.js";
export { type EvaluationReport, type HashedFile, hashFiles, readReport } from "./report-file.js";
