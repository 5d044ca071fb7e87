// Bytes that mean harm: a fixed number of mutants of every sample of every decoder. `node build/scripts/fuzz.js` runs
// for longer and with other seeds.

import { test } from 'tap'
import { MoldauError } from '../../protocol/failure.ts'
import { chance, mutate } from './mutate.ts'
import { type Target, targets, wrongWith } from './targets.ts'

const MUTANTS = 12

test('every decoder answers hostile bytes with a value or a MoldauError', async t => {
  const all = targets()
  const wrong: string[] = []
  let count = 0
  for (const [index, target] of all.entries()) {
    const random = chance(index + 1)
    for (const sample of target.samples) {
      for (let i = 0; i < MUTANTS; i++) {
        const bytes = mutate(sample, random)
        const problem = wrongWith(target, bytes)
        if (problem !== '') wrong.push(`${target.name}: ${problem} on ${bytes.toString('hex').slice(0, 400)}`)
        count++
      }
    }
  }
  t.same(wrong.slice(0, 5), [])
  t.ok(all.length > 600 && count > 20_000, `${count} mutants of ${all.length} targets`)
})

test('the judge sees what it must', async t => {
  const of = (decode: Target['decode']): Target => ({ name: 'planted', samples: [], decode })
  const bytes = Buffer.alloc(10)
  t.equal(
    wrongWith(
      of(() => ({ a: [1, 2] })),
      bytes
    ),
    ''
  )
  t.match(
    wrongWith(
      of(() => ({ a: new Array(11) })),
      bytes
    ),
    /11 elements/
  )
  t.match(
    wrongWith(
      of(() => (undefined as unknown as Buffer).length),
      bytes
    ),
    /TypeError/
  )
  t.equal(
    wrongWith(
      of(() => {
        throw new MoldauError('ERR_MALFORMED', 'no')
      }),
      bytes
    ),
    ''
  )
})
