#!/usr/bin/env node
// The command `moldau`. CommonJS for one reason: libuv fixes the size of its thread pool at first use, and loading an
// ES module is such a use in Node 20. Syncs of many logs must not wait behind four threads.
process.env.UV_THREADPOOL_SIZE ??= '16'

/** Node 22 and later keep compiled code between starts, in the system's directory for temporary files: 0.1 s less. */
interface WithCompileCache {
  enableCompileCache?(): unknown
}
;(process.getBuiltinModule?.('node:module') as WithCompileCache | undefined)?.enableCompileCache?.()

void import('./cli.ts')
