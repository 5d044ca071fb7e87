#!/usr/bin/env node
// The command `moldau`. CommonJS for one reason: libuv fixes the size of its thread pool at first use, and loading an
// ES module is such a use in Node 20. Syncs of many logs must not wait behind four threads.
process.env.UV_THREADPOOL_SIZE ??= '16'

type Run = (load: NodeJS.Require, file: string) => void

/** The program as one script, and the code that the build had Node compile for it (scripts/code-cache.ts): a third of the
 *  CPU time of a start. Null where they are not there, or were made by another Node: then the modules are loaded. */
function compiled(): Run | null {
  try {
    const { readFileSync } = process.getBuiltinModule('node:fs')
    const { Script } = process.getBuiltinModule('node:vm')
    const cachedData = readFileSync(`${__dirname}/whole-${process.version}-${process.arch}.cache`)
    const filename = `${__dirname}/whole.cjs`
    const script = new Script(readFileSync(filename, 'utf8'), { filename, cachedData })
    return script.cachedDataRejected ? null : (script.runInThisContext() as Run)
  } catch {
    return null
  }
}

/** Node 22 and later keep compiled code between starts, in the system's directory for temporary files: 0.1 s less. */
interface WithCompileCache {
  enableCompileCache?(): unknown
}

const run = compiled()
if (run !== null) run(require, `${__dirname}/whole.cjs`)
else {
  ;(process.getBuiltinModule?.('node:module') as WithCompileCache | undefined)?.enableCompileCache?.()
  void import('./cli.ts')
}
