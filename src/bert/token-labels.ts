import type { EncoderTokenizer } from "../tokenizer/encoder-tokenizer.js";
import type { WordPieceEncoding } from "../tokenizer/wordpiece/encode-pieces.js";
import type { Aggregation, TokenLabel } from "./options.js";

/** Labels tokens, words and entities by the rules of transformers' token-classification pipeline. */

/** A token of the text and its probabilities, one for each label. */
interface Token {
  readonly word: string;
  readonly scores: ArrayLike<number>;
  readonly start: number;
  readonly end: number;
  readonly index: number;
  /** Whether it continues the previous token's word. */
  readonly continues: boolean;
}

interface Labelled {
  readonly entity: string;
  readonly score: number;
  readonly word: string;
  readonly start: number;
  readonly end: number;
  readonly index?: number;
}

export interface LabelledTokens {
  readonly text: string;
  readonly encoding: WordPieceEncoding;
  readonly labels: readonly string[];
  /** For each token of the encoding, one for each label. */
  readonly probabilities: readonly ArrayLike<number>[];
}

export function labelTokens(
  tokenizer: EncoderTokenizer,
  given: LabelledTokens,
  aggregation: Aggregation,
  ignored: readonly string[],
): TokenLabel[] {
  const { labels } = given;
  const tokens = textTokens(tokenizer, given);
  const byWord = aggregation !== "none" && aggregation !== "simple";
  const entities = byWord
    ? words(tokens).map((word) => labelWord(word, labels, aggregation, tokenizer))
    : tokens.map((token) => labelled(token.scores, labels, token, token.index));
  const found: TokenLabel[] =
    aggregation === "none" ? entities : groups(entities).map((group) => merge(group, tokenizer));
  return found.filter(({ entity, entity_group }) => !ignored.includes((entity ?? entity_group)!));
}

function textTokens(tokenizer: EncoderTokenizer, { text, encoding, probabilities }: LabelledTokens): Token[] {
  const { ids, texts, offsets } = encoding;
  return Array.from(ids.keys()).flatMap((index): Token[] => {
    const id = ids[index]!;
    if (texts[index] === -1) return [];
    const [start, end] = [offsets[2 * index]!, offsets[2 * index + 1]!];
    const word = tokenizer.tokenText(id) ?? text.slice(start, end);
    const continues = tokenizer.continuesIn(text, id, start, end);
    return [{ word, scores: probabilities[index]!, start, end, index, continues }];
  });
}

function indexOfLargest(scores: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < scores.length; i++) if (scores[i]! > scores[best]!) best = i;
  return best;
}

function labelled(
  scores: ArrayLike<number>,
  labels: readonly string[],
  { word, start, end }: Pick<Token, "word" | "start" | "end">,
  index?: number,
): Labelled {
  const best = indexOfLargest(scores);
  return { entity: labels[best]!, score: scores[best]!, ...(index !== undefined && { index }), word, start, end };
}

/** Groups tokens by word. */
function words(tokens: readonly Token[]): Token[][] {
  const found: Token[][] = [];
  for (const token of tokens) {
    if (token.continues && found.length > 0) found.at(-1)!.push(token);
    else found.push([token]);
  }
  return found;
}

function labelWord(
  tokens: readonly Token[],
  labels: readonly string[],
  aggregation: Aggregation,
  tokenizer: EncoderTokenizer,
): Labelled {
  const word = tokenizer.joinTokens(tokens.map((token) => token.word));
  return labelled(wordScores(tokens, aggregation), labels, { word, start: tokens[0]!.start, end: tokens.at(-1)!.end });
}

function wordScores(tokens: readonly Token[], aggregation: Aggregation): ArrayLike<number> {
  const all = tokens.map(({ scores }) => scores);
  if (aggregation === "first") return all[0]!;
  if (aggregation === "average") {
    return Array.from(all[0]!, (_, k) => all.reduce((sum, scores) => sum + scores[k]!, 0) / all.length);
  }
  const surest = all.map((scores) => scores[indexOfLargest(scores)]!);
  return all[indexOfLargest(surest)]!;
}

/** `B` starts an entity; a label without a prefix continues one of the same label. */
function tagOf(entity: string): { starts: boolean; tag: string } {
  return /^[BI]-/.test(entity) ? { starts: entity[0] === "B", tag: entity.slice(2) } : { starts: false, tag: entity };
}

function groups(entities: readonly Labelled[]): Labelled[][] {
  const found: Labelled[][] = [];
  for (const entity of entities) {
    const last = found.at(-1);
    const { starts, tag } = tagOf(entity.entity);
    if (last && !starts && tagOf(last.at(-1)!.entity).tag === tag) last.push(entity);
    else found.push([entity]);
  }
  return found;
}

function merge(group: readonly Labelled[], tokenizer: EncoderTokenizer): TokenLabel {
  const name = group[0]!.entity;
  return {
    entity_group: name.includes("-") ? name.slice(name.indexOf("-") + 1) : name,
    score: group.reduce((sum, { score }) => sum + score, 0) / group.length,
    word: tokenizer.joinTokens(group.map(({ word }) => word)),
    start: group[0]!.start,
    end: group.at(-1)!.end,
  };
}
