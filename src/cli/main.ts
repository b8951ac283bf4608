#!/usr/bin/env node
import { runCommand } from "./program.js";
import { handleStreamErrors } from "./signals.js";

handleStreamErrors();
await runCommand(process.argv.slice(2));
