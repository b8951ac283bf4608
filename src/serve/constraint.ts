import { openConstraint } from "../constrain/open.js";
import type { ConstraintOptions } from "../constrain/options.js";
import { ConstraintError } from "../errors.js";
import { invalid } from "./api-error.js";
import type { constraintFields } from "./fields.js";
import type { Parsed } from "./schema.js";
import type { Service } from "./service.js";

type Body = Parsed<typeof constraintFields>;

/** A constraint, and the field of the request that states it. */
interface Stated {
  readonly param: string;
  readonly options: ConstraintOptions;
}

/**
 * The constraint of a request, compiled; the library finds it again when it generates.
 *
 * @throws {ApiError} naming the field: it is malformed, unsupported, too large, or one of several.
 */
export function constraintOf(service: Service, body: Body): ConstraintOptions | undefined {
  const [stated, another] = statedIn(body);
  if (another) throw invalid(another.param, `not together with ${stated!.param}`);
  if (!stated) return undefined;
  try {
    openConstraint(stated.options, service.tokenizer);
    return stated.options;
  } catch (error) {
    if (error instanceof ConstraintError) throw invalid(stated.param, error.message, "invalid_constraint");
    throw error;
  }
}

function statedIn(body: Body): Stated[] {
  const { response_format: format, structured_outputs: outputs } = body;
  const whiteSpace = outputs?.disable_any_whitespace ? ("none" as const) : undefined;
  const stated: (Stated | undefined)[] = [
    formatOf(format),
    json("structured_outputs.json", outputs?.json, whiteSpace),
    outputs?.json_object ? json("structured_outputs.json_object", ANY_OBJECT, whiteSpace) : undefined,
    text("structured_outputs.regex", "regex", outputs?.regex),
    choices("structured_outputs.choice", outputs?.choice),
    text("structured_outputs.grammar", "grammar", outputs?.grammar),
    json("guided_json", body.guided_json),
    text("guided_regex", "regex", body.guided_regex),
    choices("guided_choice", body.guided_choice),
    text("guided_grammar", "grammar", body.guided_grammar),
  ];
  return stated.filter((each) => each !== undefined);
}

const ANY_OBJECT = { type: "object" };

function formatOf(format: Body["response_format"]): Stated | undefined {
  if (format?.type === "json_object") return json("response_format", ANY_OBJECT);
  if (format?.type !== "json_schema") return undefined;
  // OpenAI's chat puts the schema one level deeper than its newer form.
  const inner = format.json_schema ? "response_format.json_schema.schema" : "response_format.schema";
  const schema = format.json_schema ? format.json_schema.schema : format.schema;
  if (schema === undefined) throw invalid(inner, "expected a JSON Schema, got nothing", "missing_required_parameter");
  return json(inner, schema);
}

function json(param: string, value: unknown, whiteSpace?: ConstraintOptions["whiteSpace"]): Stated | undefined {
  if (value === undefined) return undefined;
  const schema = typeof value === "string" ? parsed(param, value) : value;
  return { param, options: { jsonSchema: schema as object, ...(whiteSpace && { whiteSpace }) } };
}

/** vLLM takes a schema as text too. */
function parsed(param: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw invalid(param, "expected a JSON Schema, got a text that is not JSON");
  }
}

function text(param: string, kind: "regex" | "grammar", value: string | undefined): Stated | undefined {
  return value === undefined ? undefined : { param, options: { [kind]: value } };
}

function choices(param: string, value: readonly string[] | undefined): Stated | undefined {
  return value === undefined ? undefined : { param, options: { choices: value } };
}
