// Feeds hostile bytes to every decoder until the time is up, and says which seed shows a defect again:
//   node build/scripts/fuzz.js --seconds 60 [--seed N] [--only NAME]
import { parseArgs } from 'node:util'
import { chance, mutate } from '../test/fuzz/mutate.ts'
import { targets, wrongWith } from '../test/fuzz/targets.ts'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    only: { type: 'string', default: '' },
    help: { type: 'boolean', short: 'h', default: false }
  }
})
if (values.help) {
  console.log(`npm run fuzz -- [--seconds 60] [--seed N] [--only NAME]: mutated bytes into every decoder, or into those whose name
                contains NAME; the seeds that found a defect are said`)
  process.exit(0)
}

const SLOW_MS = 1000
const all = targets().filter(target => target.name.includes(values.only) && target.samples.length > 0)
const until = Date.now() + Number(values.seconds) * 1000
let seed = Number(values.seed)
let mutants = 0
let defects = 0

for (; Date.now() < until && defects < 10 && all.length > 0; seed++) {
  const random = chance(seed)
  const target = all[Math.floor(random() * all.length)] as (typeof all)[number]
  for (let i = 0; i < 200; i++) {
    const sample = target.samples[Math.floor(random() * target.samples.length)] as Buffer
    const bytes = mutate(sample, random)
    const start = performance.now()
    let problem = wrongWith(target, bytes)
    const ms = performance.now() - start
    if (problem === '' && ms > SLOW_MS) problem = `took ${Math.round(ms)} ms`
    mutants++
    if (problem === '') continue
    defects++
    console.log(`seed ${seed}, ${target.name}: ${problem}\n  ${bytes.toString('hex')}`)
  }
}

console.log(`${mutants} mutants of ${all.length} targets, seeds ${values.seed} to ${seed - 1}, ${defects} defects`)
process.exitCode = defects > 0 ? 1 : 0
