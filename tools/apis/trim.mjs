#!/usr/bin/env node
// Makes of a description of one of Google's APIs what tests/emulator checks requests against:
//
//   trim.mjs SOURCE [METHOD…] > tests/data/apis/NAME-VERSION.json
//
// SOURCE is a discovery document (https://NAME.googleapis.com/$discovery/rest?version=VERSION), or a flat list of
// methods in the same words. Kept are the methods named (all, when none is), the schemas that their requests and
// answers reach, and of these only what says what may be sent: no descriptions, scopes or defaults.
import { readFileSync } from "node:fs";

const [source, ...wanted] = process.argv.slice(2);
if (!source) {
  console.error("usage: trim.mjs SOURCE [METHOD...]");
  process.exit(2);
}
const api = JSON.parse(readFileSync(source, "utf8"));

const told = ["$ref", "type", "format", "enum", "pattern", "minimum", "maximum", "required", "repeated", "location"];

/** One schema or parameter; "required" of a property becomes the list of methods that want it. */
function trimSchema(s) {
  const out = {};
  for (const key of told) if (s[key] !== undefined) out[key] = s[key];
  if (s.annotations?.required) out.required = s.annotations.required;
  if (s.items) out.items = trimSchema(s.items);
  if (s.additionalProperties) out.additionalProperties = trimSchema(s.additionalProperties);
  if (s.properties) out.properties = trimEach(s.properties);
  return out;
}

function trimEach(named) {
  return Object.fromEntries(Object.keys(named).sort().map((name) => [name, trimSchema(named[name])]));
}

/** The methods of a document and of the resources in it, by id. */
function* methodsOf(resource) {
  for (const m of Object.values(resource.methods ?? {})) yield m;
  for (const r of Object.values(resource.resources ?? {})) yield* methodsOf(r);
}

function parametersOf(m) {
  if (m.parameters) return trimEach(m.parameters);
  const named = (names, location) => (names ?? []).map((n) => [n, { type: "string", location }]);
  return Object.fromEntries([...named(m.pathParams, "path"), ...named(m.queryParams, "query")]);
}

/** A flat list names the field of the request, which is called like its schema but for the first letter. */
function schemaName(s) {
  if (typeof s !== "string") return s?.$ref;
  return api.schemas[s] ? s : s[0].toUpperCase() + s.slice(1);
}

function trimMethod(m) {
  const uploads = Object.values(m.mediaUpload?.protocols ?? {}).map((p) => p.path);
  return {
    httpMethod: m.httpMethod,
    path: `/${api.servicePath}${m.path}`,
    ...(uploads.length && { uploads }),
    ...(m.supportsMediaDownload && { downloads: [`/download/${api.servicePath}${m.path}`] }),
    ...(m.request && { request: schemaName(m.request) }),
    ...(m.response && { response: schemaName(m.response) }),
    parameters: parametersOf(m),
  };
}

function* references(s) {
  if (s?.$ref) yield s.$ref;
  for (const v of Object.values(s ?? {})) if (typeof v === "object") yield* references(v);
}

function reach(names) {
  const found = new Map();
  const visit = (name) => {
    if (!name || found.has(name)) return;
    if (!api.schemas[name]) throw new Error(`${source}: no schema ${name}`);
    found.set(name, trimSchema(api.schemas[name]));
    for (const next of references(found.get(name))) visit(next);
  };
  names.forEach(visit);
  return Object.fromEntries([...found].sort(([a], [b]) => (a < b ? -1 : 1)));
}

const all = [...methodsOf(api)].sort((a, b) => (a.id < b.id ? -1 : 1));
const missing = wanted.filter((id) => !all.some((m) => m.id === id));
if (missing.length) throw new Error(`${source}: no method ${missing.join(", ")}`);
const methods = Object.fromEntries(
  all.filter((m) => !wanted.length || wanted.includes(m.id)).map((m) => [m.id, trimMethod(m)]));

console.log(JSON.stringify({
  name: api.name,
  version: api.version,
  ...(api.revision && { revision: api.revision }),
  servicePath: `/${api.servicePath}`,
  parameters: trimEach(api.parameters ?? {}),
  methods,
  schemas: reach(Object.values(methods).flatMap((m) => [m.request, m.response])),
}, null, 1));
