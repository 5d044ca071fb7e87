// One run: a cluster from one seed, clients at work, faults that strike, and checkers that look after every event. First any
// fault and nothing may be wrong; then everything is healed and must come to its end. The same options give the same
// run, event by event.
import { MoldauError } from '../../protocol/failure.ts'
import { checkEndings } from './checkers/endings.ts'
import { Violation } from './checkers/violation.ts'
import { drawFaults, type Fault, type FaultKind } from './faults.ts'
import { History } from './history.ts'
import { Injector } from './injector.ts'
import type { LogLine } from './node.ts'
import { addUnderLoad, countFaults, noStatistics, type Statistics, type Struck } from './statistics.ts'
import { Watch } from './watch.ts'
import { WatchedNode } from './watched-node.ts'
import { lackOf } from './whole.ts'
import { TOPIC, Workload } from './workload.ts'
import { World } from './world.ts'
import { WorldArena } from './world-arena.ts'

export interface RunOptions {
  readonly seed: number
  /** For how long faults strike; the time to heal comes on top. */
  readonly ms: number
  readonly brokers: number
  readonly kinds: readonly FaultKind[]
  /** On average, from one fault to the next. */
  readonly everyMs?: number
  /** Clients rest so many times longer than usual between bursts of work, and work gently in most of them. */
  readonly rest?: number
  /** These, and not those of the seed. */
  readonly faults?: readonly Fault[]
  /** Of those of the seed, by their numbers from 0. */
  readonly only?: readonly number[]
}

export interface RunResult {
  readonly seed: number
  readonly violation: Violation | null
  /** When it was broken, in milliseconds of the run. */
  readonly atMs: number
  readonly faults: readonly Fault[]
  /** All that the seed gives; `faults` may be some of them. */
  readonly drawn: readonly Fault[]
  readonly statistics: Statistics
  /** The same for the same options. */
  readonly traceHash: string
  /** What struck, and the newest lines of the brokers' logs. */
  readonly struck: readonly Struck[]
  readonly lines: readonly LogLine[]
}

const EVERY_MS = 20_000
const START_LIMIT_MS = 60_000
/** How long a healed cluster may take until everything is finished. */
const HEAL_LIMIT_MS = 180_000
const TICK_MS = 500
/** As records of settings name it. */
const TOPIC_RESOURCE = 2
/** Longer than this without an ack is no load. */
const ACK_GAP_MS = 5000

export async function simulate(options: RunOptions): Promise<RunResult> {
  const run = new Run(options)
  return await run.run()
}

class Run {
  readonly #o: RunOptions
  readonly #world: World
  readonly #history = new History()
  readonly #watch: Watch
  readonly #watched: readonly WatchedNode[]
  readonly #workload: Workload
  readonly #statistics = noStatistics()
  readonly #drawn: readonly Fault[]
  readonly #faults: readonly Fault[]
  #injector: Injector | null = null
  #failure: Violation | null = null
  #atMs = 0
  #startedMs = 0

  constructor(options: RunOptions) {
    this.#o = options
    const { seed, brokers, ms, kinds, everyMs = EVERY_MS, rest = 1 } = options
    this.#world = new World({ seed, brokers, settings: settingsFor(seed, brokers, rest > 1), skewMs: 50 })
    const copies = Math.min(2, brokers)
    this.#watch = new Watch({
      nodeIds: this.#world.nodes.map(each => each.id),
      history: this.#history,
      topics: new Set([TOPIC]),
      copies
    })
    this.#watched = this.#world.nodes.map(each => new WatchedNode(each))
    this.#workload = new Workload(this.#world, this.#watch, this.#history, ms, rest)
    const plan = { fromMs: 3000, untilMs: ms, everyMs, nodes: brokers, kinds }
    this.#drawn = drawFaults(this.#world.dice.of('faults'), plan)
    this.#faults = options.faults ?? chosen(this.#drawn, options.only)
  }

  async run(): Promise<RunResult> {
    const startCpu = process.cpuUsage()
    const onRejection = (reason: unknown): void => this.#fail(reason)
    process.on('unhandledRejection', onRejection)
    try {
      await this.#phases()
    } catch (error) {
      this.#fail(error)
    } finally {
      this.#atMs = this.#world.nowMs
      this.#world.end()
      process.off('unhandledRejection', onRejection)
    }
    const { user, system } = process.cpuUsage(startCpu)
    this.#count((user + system) / 1000)
    return {
      ...{ seed: this.#o.seed, violation: this.#failure, atMs: this.#atMs, faults: this.#faults },
      ...{ drawn: this.#drawn, statistics: this.#statistics, traceHash: this.#world.traceHash },
      ...{ struck: this.#injector?.struck ?? [], lines: this.#world.lines }
    }
  }

  async #phases(): Promise<void> {
    const world = this.#world
    world.afterEach = () => this.#look()
    await world.start()
    await world.until(this.#workload.createTopic(), START_LIMIT_MS)
    this.#workload.begin(error => this.#fail(error))
    this.#startedMs = world.nowMs
    const injector = this.#prepare()
    await this.#until(this.#o.ms, () => false)
    injector.heal()
    await this.#finish(injector)
  }

  #prepare(): Injector {
    const world = this.#world
    const arena = new WorldArena(world, this.#workload.hosts, this.#watch.ledgers)
    const { clock } = world.client('faults')
    const injector = new Injector(arena, clock, node => {
      for (const ledger of this.#watch.ledgers.values()) ledger.mirrors.get(node + 1)?.damaged(ledger.end)
    })
    this.#injector = injector
    for (const fault of this.#faults) {
      world.agenda.after(fault.atMs * 1000, () => injector.strike(fault))
    }
    world.onEnded = node => {
      if (node.failure !== null) {
        try {
          injector.ended(node.id - 1, node.failure)
        } catch (error) {
          this.#fail(error)
        }
      }
    }
    const tick = (): void => {
      if (injector.damaged >= 0 && this.#lack() === null) injector.recovered()
      addUnderLoad(this.#statistics, {
        isBusy: this.#workload.load.isBusy(world.nowMs - this.#startedMs),
        hasAcks: world.nowMs - this.#history.lastAckMs < ACK_GAP_MS,
        ms: TICK_MS
      })
      world.agenda.after(TICK_MS * 1000, tick)
    }
    tick()
    return injector
  }

  /** Heal, and everything must come to its end. */
  async #finish(injector: Injector): Promise<void> {
    const workload = this.#workload
    await this.#must('every node is back', () => injector.isQuiet)
    let areWritersDone = false
    void workload.stopWriters().then(() => {
      areWritersDone = true
    })
    await this.#must('every writer has its answers', () => areWritersDone)
    let isOperatorDone = false
    void workload.stopOperator().then(() => {
      isOperatorDone = true
    })
    await this.#must('every move of replicas is over', () => isOperatorDone)
    await this.#must('the cluster is whole', () => this.#lack() === null)
    await this.#must('the group has read everything', () => workload.isGroupDone)
    let areConsumersDone = false
    void workload.stopConsumers().then(() => {
      areConsumersDone = true
    })
    await this.#must('every consumer has ended', () => areConsumersDone)
    let readTo: Map<string, number> | null = null
    workload.readBack().then(
      found => {
        readTo = found
      },
      error => this.#fail(error)
    )
    await this.#must('everything is read back', () => readTo !== null)
    checkEndings(this.#history, readTo ?? new Map())
    for (const { broker } of this.#world.nodes) {
      const image = broker?.services.metadata.image
      workload.operations.check(name => (image?.topicsByName.has(name) ? image.configs(TOPIC_RESOURCE, name) : null))
    }
  }

  #lack(): string | null {
    return lackOf(this.#world.nodes, this.#watch.ledgers.values())
  }

  async #must(what: string, holds: () => boolean): Promise<void> {
    const isInTime = await this.#until(HEAL_LIMIT_MS, holds)
    if (isInTime) return
    throw new Violation(
      'progress',
      `${HEAL_LIMIT_MS / 1000} s after healing not yet: ${what}; ${this.#lack() ?? 'it is whole'}`
    )
  }

  async #until(ms: number, holds: () => boolean): Promise<boolean> {
    const isOver = await this.#world.waitFor(() => this.#failure !== null || holds(), ms)
    if (this.#failure !== null) throw this.#failure
    return isOver
  }

  #look(): void {
    if (this.#failure !== null) return
    for (const each of this.#watched) if (each.isThere) this.#watch.look(each)
  }

  #fail(error: unknown): void {
    if (this.#failure !== null) return
    this.#atMs = this.#world.nowMs
    this.#failure =
      error instanceof Violation ? error : new Violation('healthy-broker', String((error as Error)?.stack ?? error))
  }

  #count(cpuMs: number): void {
    const s = this.#statistics
    const { attempts } = this.#history
    s.runs = 1
    s.simulatedMs = this.#world.nowMs
    s.events = this.#world.agenda.count
    s.cpuMs = cpuMs
    s.ackedRecords = this.#history.ackedRecords
    s.ackedAttempts = attempts.acked
    s.refusedAttempts = attempts.refused
    s.unknownAttempts = attempts.unknown
    for (const ledger of this.#watch.ledgers.values()) {
      s.committedBatches += ledger.rows.length
      if (ledger.topic === '__cluster_metadata') s.quorumEpochs += ledger.leaders.size
      else s.elections += ledger.leaders.size
    }
    s.snapshotsWritten = this.#world.heard.get('metadata-snapshot-written') ?? 0
    s.snapshotsFetched = this.#world.heard.get('metadata-snapshot-fetched') ?? 0
    s.operations = this.#workload.operatorActs
    for (const member of this.#workload.members) s.generations += member.generations
    s.disksReplaced = this.#injector?.disksReplaced ?? 0
    countFaults(s, this.#injector?.struck ?? [])
  }
}

function chosen(drawn: readonly Fault[], only: readonly number[] | undefined): readonly Fault[] {
  const missing = only?.find(each => drawn[each] === undefined)
  if (missing === undefined) return drawn.filter((_, number) => only === undefined || only.includes(number))
  throw new MoldauError('ERR_CONFIG', `no fault has the number ${missing}: the seed draws ${drawn.length}, from 0`)
}

/** Kafka's own times, and longer polls: an idle hour costs less. */
const CALM = {
  'broker.heartbeat.interval.ms': 2000,
  'broker.session.timeout.ms': 9000,
  'replica.fetch.wait.max.ms': 2000
}

/** Bytes; a few elections write so many. */
const SHORT_METADATA_LOG = {
  'metadata.log.max.record.bytes.between.snapshots': 4000,
  'internal.metadata.log.segment.bytes': 4000
}

/** What is the same in every run: small, and quick where waiting would teach nothing. */
function settingsFor(seed: number, brokers: number, isCalm: boolean): Record<string, string | number> {
  const copies = Math.min(2, brokers)
  return {
    'offsets.topic.replication.factor': brokers,
    'offsets.topic.num.partitions': 1,
    'default.replication.factor': brokers,
    'min.insync.replicas': copies,
    'group.initial.rebalance.delay.ms': 300,
    'auto.create.topics.enable': 'false',
    'log.cleaner.enable': 'false',
    'moldau.log.level': 'info',
    // In every second run readers that are a little late read the files.
    ...(seed % 2 === 0 ? { 'moldau.tail.cache.bytes': 32 * 1024 } : {}),
    // And in every second pair of runs the metadata log is cut behind snapshots, which whoever is late fetches.
    ...(seed % 4 > 1 ? SHORT_METADATA_LOG : {}),
    ...(isCalm ? CALM : {})
  }
}
