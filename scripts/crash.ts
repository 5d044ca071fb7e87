// Tells life stories of a log on the disk that crashes (test/storage/crash-run.ts), as many as wanted, or one again.
// node build/scripts/crash.js --seeds 10000 | --seed 4711
import { parseArgs } from 'node:util'
import { crashRun } from '../test/storage/crash-run.ts'

const { values } = parseArgs({
  options: {
    ...{ seeds: { type: 'string' }, seed: { type: 'string' }, from: { type: 'string' } },
    help: { type: 'boolean', short: 'h', default: false }
  }
})
if (values.help) {
  console.log(`npm run crash -- [--seeds 10000] [--from 1]   logs on a disk that crashes, seed after seed
npm run crash -- --seed N                     one of them again, and its figures`)
  process.exit(0)
}

if (values.seed !== undefined) console.log(await crashRun(Number(values.seed)))
else await many(Number(values.from ?? 1), Number(values.seeds ?? 10000))

async function many(from: number, count: number): Promise<void> {
  const broken: number[] = []
  for (let seed = from; seed < from + count; seed++) {
    try {
      await crashRun(seed)
    } catch (error) {
      broken.push(seed)
      console.log(`seed ${seed}: ${(error as Error).message.split('\n')[0]}`)
    }
  }
  console.log(`${count} seeds, ${broken.length} broken`)
  if (broken.length > 0) process.exitCode = 1
}
