import type { Route } from "./routes.js";
import type { JsonSchema } from "./schema.js";

const content = (schema: JsonSchema, type = "application/json") => ({ content: { [type]: { schema } } });

/** The OpenAPI document of the routes. */
export function openApi(routes: readonly Route[], title: string, version: string) {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const route of routes) {
    paths[route.path] ??= {};
    paths[route.path]![route.method.toLowerCase()] = operation(route);
  }
  const text = { type: "string", nullable: true };
  const details = { message: { type: "string" }, type: { type: "string" }, param: text, code: text };
  return {
    openapi: "3.0.3",
    info: { title, version },
    paths,
    components: {
      schemas: { Error: { type: "object", properties: { error: { type: "object", properties: details } } } },
      securitySchemes: { key: { type: "http", scheme: "bearer" } },
    },
    security: [{ key: [] }],
  };
}

function operation({ path, summary, body, type, open }: Route) {
  const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
  const parameters = names.map((name) => ({ name, in: "path", required: true, schema: { type: "string" } }));
  const answer = type === undefined ? content({ type: "object" }) : content({ type: "string" }, type);
  return {
    summary,
    ...(parameters.length > 0 && { parameters }),
    ...(body && { requestBody: { required: true, ...content(body) } }),
    ...(open && { security: [] }),
    responses: {
      200: { description: "The answer", ...answer },
      default: { description: "An error", ...content({ $ref: "#/components/schemas/Error" }) },
    },
  };
}
