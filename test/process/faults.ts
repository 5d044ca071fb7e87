// Loaded into a broker process before everything else (node --import): while the file that MOLDAU_FAULT names exists, the
// operation that it describes fails for paths that contain `path`, as a broken disk would let it fail.
import fs from 'node:fs'

export interface Fault {
  readonly operation: 'write' | 'fdatasync' | 'read'
  readonly path: string
  readonly code: string
}

function inject(faultFile: string): void {
  const names = new Map<number, string>()
  const { openSync, writeSync, writevSync, fdatasync, read, readSync, existsSync, readFileSync } = fs
  const failureOf = (operation: Fault['operation'], fd: number): Error | null => {
    if (!existsSync(faultFile)) return null
    const fault = JSON.parse(readFileSync(faultFile, 'utf8')) as Fault
    if (fault.operation !== operation || !names.get(fd)?.includes(fault.path)) return null
    return Object.assign(new Error(`${fault.code}: injected`), { code: fault.code })
  }
  const guard = <F>(operation: Fault['operation'], original: F): F =>
    ((fd: number, ...rest: unknown[]) => {
      const failure = failureOf(operation, fd)
      if (failure === null) return (original as (...args: unknown[]) => unknown)(fd, ...rest)
      const done = rest.at(-1)
      if (typeof done !== 'function') throw failure
      setImmediate(() => done(failure))
      return undefined
    }) as F
  fs.openSync = (path, ...rest) => {
    const fd = openSync(path, ...rest)
    names.set(fd, String(path))
    return fd
  }
  fs.writeSync = guard('write', writeSync)
  fs.writevSync = guard('write', writevSync)
  fs.fdatasync = guard('fdatasync', fdatasync)
  fs.read = guard('read', read)
  fs.readSync = guard('read', readSync)
}

if (process.env.MOLDAU_FAULT) inject(process.env.MOLDAU_FAULT)
