/** WordPiece, BERT's tokenizer: everything that runs in a browser too. File access is in ./files.ts. */
export type { NormalizerOptions } from "./normalize.js";
export { readVocabTxt, readWordPieceFolder, readWordPieceJson, writeVocabTxt, writeWordPieceJson } from "./read.js";
export { type WordPieceEncodeOptions, type WordPieceEncoding, WordPieceTokenizer } from "./tokenizer.js";
export { type TrainWordPieceOptions, trainWordPiece } from "./train.js";
export type { TruncationOptions, TruncationStrategy } from "./truncate.js";
export {
  bertNormalizer,
  bertTemplate,
  bertVocabulary,
  type Template,
  type TemplatePiece,
  type WordPieceVocabulary,
} from "./vocabulary.js";
