// The broker's log, on standard error: event name as message, data as fields; transitions, not traffic. JSON lines for
// machines; on a terminal one short line each for people. The only file that knows pino; others import its type from here.
import pino from 'pino'
import { isBug } from '../protocol/failure.ts'

export type Logger = pino.Logger
export type LogLevel = pino.LevelWithSilent

export interface LogOptions {
  readonly level: LogLevel
  /** Where lines go; default: standard error, written at once (a log line must survive a crash right after it). */
  readonly to?: { write(line: string): unknown }
  /** Lines for people instead of JSON. */
  readonly readable?: boolean
}

/** Every logger that descends from one of createLogger's, so that a level can be changed for all of them. */
const families = new WeakMap<Logger, Set<WeakRef<Logger>>>()

/** Changes what is written, for the logger and everything that was or will be made from it. */
export function setLogLevel(log: Logger, level: LogLevel): void {
  log.level = level
  for (const reference of families.get(log) ?? []) {
    const child = reference.deref()
    if (child !== undefined) child.level = level
  }
}

export function createLogger({ level, to, readable = false }: LogOptions): Logger {
  const end = to ?? pino.destination({ dest: 2, sync: true })
  const family = new Set<WeakRef<Logger>>()
  const options: pino.LoggerOptions = {
    level,
    onChild: child => family.add(new WeakRef(child as Logger)),
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: label => ({ level: label }) },
    serializers: { error: errorOnOneLine, err: errorOnOneLine }
  }
  const log = pino(options, readable ? { write: (line: string) => void end.write(readableLine(line)) } : end)
  families.set(log, family)
  return log
}

/** The broker's own failures, and those of the system, are told by code and message; only a bug shows its stack. */
function errorOnOneLine(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const code = (error as Error & { code?: string }).code
  const cause = error.cause instanceof Error ? error.cause.message : undefined
  const parts = { ...(code === undefined ? {} : { code }), message: error.message }
  if (isBug(error)) return { ...parts, stack: error.stack }
  return { ...parts, ...(cause === undefined ? {} : { cause }) }
}

/** `12:01:02.345 warn  topic created topic=orders partitions=3` */
export function readableLine(json: string): string {
  const { time, level, msg, ...fields } = JSON.parse(json) as Record<string, unknown>
  const words = [String(time).slice(11, 23), String(level).padEnd(5), String(msg ?? '')]
  for (const [name, value] of Object.entries(fields)) words.push(`${name}=${shown(value)}`)
  return `${words.join(' ')}\n`
}

function shown(value: unknown): string {
  if (typeof value === 'string') return /[\s"=]/.test(value) || value === '' ? JSON.stringify(value) : value
  return value !== null && typeof value === 'object' ? JSON.stringify(value) : String(value)
}
