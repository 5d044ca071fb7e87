// `node build/scripts/kill.js --rounds 100 [--producers 4] [--seed 1] [--page-cache]`: kills a broker at random moments of
// a produce run, on one directory, and checks at the end that nothing acked is lost and nothing is there twice.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { killRounds } from '../test/process/kill-rounds.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '100' },
    producers: { type: 'string', default: '4' },
    seed: { type: 'string', default: '1' },
    'page-cache': { type: 'boolean', default: false },
    help: { type: 'boolean', default: false }
  }
})
if (values.help) {
  process.stdout.write(
    'kill [--rounds 100] [--producers 4] [--seed 1] [--page-cache]: kills a broker in the middle of produce runs\n'
  )
  process.exit(0)
}

/** mulberry32: the moments of the kills come again with the same seed, as far as the machine's own do. */
function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const directory = mkdtempSync(join(tmpdir(), 'moldau-kill-'))
const report = await killRounds({
  directory: join(directory, 'data'),
  rounds: Number(values.rounds),
  producers: Number(values.producers),
  random: seeded(Number(values.seed)),
  ...(values['page-cache'] ? { set: { 'moldau.log.flush.policy': 'page-cache' } } : {}),
  onRound: (round, acked) => process.stderr.write(`\rround ${round + 1}: ${acked} batches acked`)
})
const { acked, stored, commits, violations } = report
process.stdout.write(`\n${values.rounds} kills: ${acked} records acked, ${stored} stored, ${commits} commits acked\n`)
for (const violation of violations.slice(0, 20)) process.stdout.write(`VIOLATION ${violation}\n`)
process.stdout.write(
  violations.length === 0 ? 'nothing lost, nothing twice\n' : `${violations.length} violations in ${directory}\n`
)
if (violations.length === 0) rmSync(directory, { recursive: true, force: true })
process.exitCode = violations.length === 0 ? 0 : 1
