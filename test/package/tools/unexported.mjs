/**
 * Prints the types of this package that a public signature mentions but that no entry point exports, as JSON:
 * `node unexported.mjs ENTRY.d.ts…`.
 */
import { relative } from "node:path";
import ts from "typescript-5.9";

const entries = process.argv.slice(2);
const options = { module: ts.ModuleKind.NodeNext, target: ts.ScriptTarget.ES2022, strict: true, types: [] };
const program = ts.createProgram(entries, options);
const checker = program.getTypeChecker();

const resolved = (symbol) => (symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol);
const exported = new Set();
for (const entry of entries) {
  const module = checker.getSymbolAtLocation(program.getSourceFile(entry));
  for (const symbol of checker.getExportsOfModule(module)) exported.add(resolved(symbol));
}

const isOurs = (symbol) => symbol.declarations?.some((d) => d.getSourceFile().fileName.includes("/dist/src/"));
const isHidden = (node) =>
  (node.name && ts.isPrivateIdentifier(node.name)) ||
  (ts.canHaveModifiers(node) && ts.getModifiers(node)?.some(({ kind }) => kind === ts.SyntaxKind.PrivateKeyword));
/** A declaration at the top of a module, not a type parameter or a member. */
const isTopLevel = (symbol) => symbol.declarations?.some((d) => ts.isSourceFile(d.parent));

const found = new Map();
function visit(node, owner) {
  if (isHidden(node)) return;
  let name;
  if (ts.isTypeReferenceNode(node)) name = node.typeName;
  else if (ts.isExpressionWithTypeArguments(node)) name = node.expression;
  else if (ts.isImportTypeNode(node)) name = node.qualifier;
  const symbol = name && checker.getSymbolAtLocation(name);
  if (symbol) {
    const target = resolved(symbol);
    if (isOurs(target) && isTopLevel(target) && !exported.has(target)) {
      const file = relative(process.cwd(), target.declarations[0].getSourceFile().fileName);
      const key = `${target.name} (${file})`;
      found.set(key, [...(found.get(key) ?? []), owner]);
    }
  }
  ts.forEachChild(node, (child) => visit(child, owner));
}
for (const symbol of exported) for (const declaration of symbol.declarations ?? []) visit(declaration, symbol.name);
console.log(JSON.stringify(Object.fromEntries(found)));
