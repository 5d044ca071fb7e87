// `npm run bench`: what a broker costs, beside another one. The load is a process of its own (bench/load.ts); this one only starts
// what is needed, says who is next, and tells the figures. `--help` lists what there is; `-- cluster` and `-- profile` are others.
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { profile } from './bench/profile.ts'
import { jsonOf, markdownOf, notesOf, type RowResult, tableOf } from './bench/report.ts'
import { ALIASES, ROWS } from './bench/rows.ts'
import { type RunOptions, runRow } from './bench/run.ts'
import { DEFAULT_DIRECTORY, floorOf, kafkaOf, moldauOf, runningAt, type Subject } from './bench/subject.ts'
import type { Row } from './bench/workload.ts'

if (process.argv[2] === 'cluster') {
  // Three brokers have a benchmark of their own; it ends the process.
  await import('./bench-cluster.ts')
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    bootstrap: { type: 'string' },
    pid: { type: 'string' },
    build: { type: 'string' },
    against: { type: 'string' },
    'against-pid': { type: 'string' },
    kafka: { type: 'string', default: process.env.MOLDAU_KAFKA ?? '../shared/peers/kafka/kafka' },
    floor: { type: 'boolean', default: false },
    seconds: { type: 'string' },
    rounds: { type: 'string' },
    warm: { type: 'string' },
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    set: { type: 'string', multiple: true, default: [] },
    directory: { type: 'string', default: DEFAULT_DIRECTORY },
    'old-gb': { type: 'string' },
    'crash-gb': { type: 'string' },
    idle: { type: 'string' },
    json: { type: 'boolean', default: false },
    markdown: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false }
  }
})

const HELP = `npm run bench -- [options]             what one broker costs
npm run bench -- profile ROW [options]  a CPU profile and a count of system calls of one row
npm run bench -- cluster [options]      three brokers; it has a --help of its own

  --only NAME,NAME      rows or groups of rows, or table: those with a goal, for the README; all without it
  --against OTHER       a second broker, measured in turn: kafka, HOST:PORT, or a directory with another build of moldau
  --against-pid N,N     processes of the one at HOST:PORT
  --build DIR           the build of moldau that is measured (default: the one that this program belongs to)
  --bootstrap HOST:PORT --pid N,N   a running broker instead; it keeps its own settings, whatever a row says of durability
  --kafka PROGRAM       starts Apache Kafka for --against kafka (MOLDAU_KAFKA; default ../shared/peers/kafka/kafka)
  --floor               beside them a process that only moves the bytes: what the machine gives at most
  --seconds N --rounds N --warm N   of each row (3, 3, 1); --quick: 1 second, 1 round. What must compile is warmed up longer
  --set KEY=VALUE       a setting of moldau; may stand several times
  --directory DIR       where data goes while it runs
  --old-gb N            size of the old topic of the row catch-up (2; --quick: 0.25)
  --crash-gb N          size of the log of the row crash (10; --quick: 0.5)
  --idle N              seconds in which nobody asks 1,000 and 10,000 partitions for anything (10; --quick: 2)
  --json, --markdown    other ways to tell the figures

CPU, memory and disk are those of the broker's processes, from the operating system. A ratio is the first by the second: above 1 for
rates and below 1 for costs the first is better. "load" is the CPU of the load process: near 1 it is the limit, not the broker.
`

function listed(): string {
  const groups = [...new Set(ROWS.map(each => each.group))]
  const line = (row: Row) =>
    `  ${row.name.padEnd(20)} ${row.what}${row.durability === 'page-cache' ? '' : ` [${row.durability}]`}`
  return groups
    .map(group => [`${group}:`, ...ROWS.filter(each => each.group === group).map(line)].join('\n'))
    .join('\n')
}

if (values.help) {
  console.log(`${HELP}\n${listed()}`)
  process.exit(0)
}

function failWith(text: string): never {
  console.error(`bench: ${text}`)
  process.exit(2)
}

function rowsOf(only: string | undefined): Row[] {
  if (only === undefined) return [...ROWS]
  const names = only.split(',').map(name => ALIASES[name] ?? name)
  const isOf = (row: Row, name: string) =>
    row.name === name || row.group === name || (name === 'table' && row.goal !== undefined)
  const unknown = names.find(name => !ROWS.some(row => isOf(row, name)))
  if (unknown !== undefined) failWith(`no row or group is called ${unknown}; --help lists them`)
  return ROWS.filter(row => names.some(name => isOf(row, name)))
}

function pidsOf(text: string | undefined): number[] {
  return text === undefined ? [] : text.split(',').map(Number)
}

const place = { set: values.set, kafka: values.kafka, directory: resolve(values.directory) }

function first(): Subject {
  if (values.bootstrap !== undefined) return runningAt(values.bootstrap, pidsOf(values.pid))
  return moldauOf('moldau', values.build ?? resolve(import.meta.dirname, '..'), place)
}

function second(): Subject[] {
  const { against } = values
  if (against === undefined) return []
  if (against === 'kafka') {
    const kafka = kafkaOf(place)
    if (kafka !== null) return [kafka]
    console.error(
      `bench: ${values.kafka} is not there: Apache Kafka is left out (MOLDAU_KAFKA names the program that starts it)`
    )
    return []
  }
  if (existsSync(join(against, 'broker')) || existsSync(join(against, 'bin'))) {
    return [moldauOf(against, against, { ...place, set: [] })]
  }
  if (!/:\d+$/.test(against)) failWith(`--against takes kafka, HOST:PORT or a directory with a build, not ${against}`)
  return [runningAt(against, pidsOf(values['against-pid']))]
}

const isShown = process.stderr.isTTY
const startedMs = performance.now()

/** On a terminal one line that changes; otherwise each row says when it is done. */
function progress(text: string): void {
  const seconds = Math.round((performance.now() - startedMs) / 1000)
  if (isShown) process.stderr.write(`\r\x1b[K${seconds} s: ${text}`)
}

const options: RunOptions = {
  seconds: Number(values.seconds ?? (values.quick ? 1 : 3)),
  rounds: Number(values.rounds ?? (values.quick ? 1 : 3)),
  warmSeconds: Number(values.warm ?? (values.quick ? 0.3 : 1)),
  oldBytes: Number(values['old-gb'] ?? (values.quick ? 0.25 : 2)) * 1e9,
  crashBytes: Number(values['crash-gb'] ?? (values.quick ? 0.5 : 10)) * 1e9,
  idleSeconds: Number(values.idle ?? (values.quick ? 2 : 10)),
  directory: place.directory,
  progress
}

async function run(rows: readonly Row[], subjects: readonly Subject[]): Promise<void> {
  const results: RowResult[] = []
  for (const [index, row] of rows.entries()) {
    const result = await runRow(row, subjects, options)
    results.push(result)
    if (isShown) process.stderr.write('\r\x1b[K')
    const seconds = Math.round((performance.now() - startedMs) / 1000)
    process.stderr.write(`${seconds} s: ${row.name} is done, ${index + 1} of ${rows.length}\n`)
    for (const note of result.notes) process.stderr.write(`  ${row.name}: ${note}\n`)
  }
  const names = subjects.map(each => each.name)
  if (values.json) console.log(jsonOf(results, names))
  else console.log(`${values.markdown ? markdownOf(results, names) : tableOf(results)}\n\n${notesOf(results)}`)
}

if (positionals[0] === 'profile') {
  const [row, ...others] = rowsOf(positionals[1] ?? failWith('profile takes the name of a row'))
  if (row === undefined || others.length > 0) failWith('profile takes one row')
  await profile(row, values.build ?? resolve(import.meta.dirname, '..'), place, options)
  process.exit(0)
}
if (positionals.length > 0) failWith(`what is ${positionals[0]}? --help says what there is`)
const floors = values.floor
  ? (['take', 'take-write', 'give', 'give-file'] as const).map(mode => floorOf(mode, place))
  : []
const rows = rowsOf(values.only)
const subjects = [first(), ...second(), ...floors]
try {
  await run(rows, subjects)
} finally {
  for (const each of subjects) await each.end()
}
process.exit(0)
