// Packages with native code, loaded when first needed. Each may be missing (installed without optional packages, or no
// binary for this machine), and then what needs it has a slower way.
import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)

/** The package, or undefined where it cannot be loaded; asked for once. */
export function optional<T>(name: string): () => T | undefined {
  let loaded: { readonly exports: T | undefined } | undefined
  return () => {
    loaded ??= { exports: load<T>(name) }
    return loaded.exports
  }
}

function load<T>(name: string): T | undefined {
  try {
    return require(name) as T
  } catch {
    return undefined
  }
}
