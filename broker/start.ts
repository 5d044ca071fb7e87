// `moldau start`: a broker in this process, from its settings to its end. Says on standard output where it listens, where
// its data is, and how to try it; stops in order at the first Ctrl-C or SIGTERM, at once at the second.
import { resolve } from 'node:path'
import type { Broker } from './broker.ts'
import { systemClock } from './clock.ts'
import type { Sources } from './config/sources.ts'
import { loadConfig } from './config.ts'
import { createLogger, type Logger, setLogLevel } from './log.ts'
import { Lookout } from './lookout.ts'
import { LoopTurns } from './loop-turns.ts'
import { VERSION } from './version.ts'

/** How long a broker that cannot go on may take to stop. */
const GIVE_UP_MS = 5000
/** How long a start may still take when the broker was asked to stop. */
const PATIENCE_MS = 1500
const SIGNALS = { SIGINT: 130, SIGTERM: 143 } as const

export interface StartOptions {
  /** Stops when the process that started this one is gone: it holds the other end of the channel. */
  readonly withParent?: boolean
}

export async function start(
  sources: Pick<Sources, 'file' | 'set'>,
  { withParent = false }: StartOptions = {}
): Promise<void> {
  const { config, warnings } = loadConfig({ ...sources, env: process.env })
  const log = createLogger({ level: config.get('moldau.log.level'), readable: process.stderr.isTTY === true })
  config.onChange(changed => {
    if (changed.has('moldau.log.level')) setLogLevel(log, config.get('moldau.log.level'))
  })
  // Whoever read what is printed may be gone: no reason to stop.
  process.stdout.on('error', () => {})
  for (const warning of warnings) log.warn({ warning }, 'settings')
  const turns = new LoopTurns()
  turns.start()

  let end: (why: Error | null) => void = () => {}
  const ended = new Promise<Error | null>(resolve => {
    end = resolve
  })
  endOnSignals(log, () => end(null))
  if (withParent) endWithParent(log, () => end(null))
  const { startBroker } = await import('./broker.ts')
  const lookout = new Lookout({ config, clock: systemClock, turns, log })
  try {
    const starting = startBroker({ config, log, onFatal: end, onListening: outside => lookout.begin(outside) })
    const broker = await Promise.race([starting, ended.then(() => withinPatience(starting))])
    if (broker === null) return leaveUnready(await ended, log)
    greet(broker)
    const http = await lookout.entered()
    if (http !== null) process.stdout.write(`  http    http://${shownHost(http.host)}:${http.port}/readyz\n`)
    const why = await ended
    if (why !== null) {
      await giveUp(broker, log)
      throw why
    }
    await broker.stop()
  } finally {
    // Last: who probes it sees how it stops.
    await lookout.close()
  }
  process.stdout.write('moldau has stopped\n')
  // What had to be finished is finished; a stray handle must not keep the process.
  process.exit(0)
}

/** One of several waits for the others as long as they take; who is asked to stop meanwhile does not. */
function withinPatience(starting: Promise<Broker>): Promise<Broker | null> {
  // The timer holds the process until one of both has come.
  return Promise.race([
    starting,
    new Promise<null>(resolve => {
      setTimeout(() => resolve(null), PATIENCE_MS)
    })
  ])
}

/** As a crash: the next start recovers. */
function leaveUnready(why: Error | null, log: Logger): never {
  if (why !== null) throw why
  log.info('stopped-before-ready')
  process.stdout.write('moldau has stopped\n')
  process.exit(0)
}

/** Stops what still can be stopped of a broker that cannot go on: a dead disk must not keep the process. */
async function giveUp(broker: Broker, log: Logger): Promise<void> {
  const stopped = broker.stop().catch(error => log.error({ error }, 'stop-failed'))
  const late = new Promise(resolve => systemClock.after(GIVE_UP_MS, () => resolve(null)))
  // The timer lets the process end; something must hold it until one of both has come.
  const hold = setInterval(() => {}, GIVE_UP_MS)
  await Promise.race([stopped, late])
  clearInterval(hold)
}

function greet(broker: Broker): void {
  const addresses = broker.listeners.map(({ host, port }) => `${shownHost(host)}:${port}`)
  process.stdout.write(
    `moldau ${VERSION} is ready on ${addresses.join(', ')}\n` +
      `  data    ${resolve(broker.dataDirectory)}\n` +
      `  try it  new Kafka({ brokers: ['${addresses[0]}'] }) with kafkajs, or: kcat -b ${addresses[0]} -L\n` +
      '  stop    Ctrl-C\n'
  )
}

function shownHost(host: string): string {
  if (host === '' || host === '0.0.0.0' || host === '::') return 'localhost'
  return host.includes(':') ? `[${host}]` : host
}

/** Nobody is left who could stop it a second time: it has a limit. */
function endWithParent(log: Logger, end: () => void): void {
  process.on('disconnect', () => {
    log.info('parent-gone')
    setTimeout(() => process.exit(1), GIVE_UP_MS).unref()
    end()
  })
}

function endOnSignals(log: Logger, end: () => void): void {
  let asked = false
  for (const [name, code] of Object.entries(SIGNALS)) {
    process.on(name, () => {
      if (asked) process.exit(code)
      asked = true
      log.info({ signal: name }, 'stopping')
      end()
    })
  }
}
