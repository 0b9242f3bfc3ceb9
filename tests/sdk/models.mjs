// models.mjs FOLDER ID - OpenAI's SDK, installed in FOLDER, asks the server of BASE_URL for its models. What it
// saw is printed as one JSON object, for test_models.py to judge.
import { createRequire } from 'node:module';
import path from 'node:path';

const [folder, id] = process.argv.slice(2);
const require = createRequire(path.join(path.resolve(folder), 'x.js'));
const { OpenAI, NotFoundError } = require('openai');

const client = new OpenAI({ baseURL: process.env.BASE_URL, apiKey: 'sk-any', maxRetries: 0 });
const list = [];
for await (const model of client.models.list()) list.push(model);
const one = await client.models.retrieve(id);
const unknown = await client.models.retrieve('gpt-99').catch((e) => ({
  isNotFound: e instanceof NotFoundError,
  code: e.code,
  param: e.param,
  requestID: e.requestID,
}));
console.log(JSON.stringify({ list, one, unknown }));
