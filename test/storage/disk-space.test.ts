// The reserve of the disk: whoever is refused by reckoning is told why by the disk itself, also when the disk was just
// being asked.
import { test } from 'tap'
import { DiskSpace } from '../../storage/disk-space.ts'

const MIB = 1024 * 1024

function diskOf(reserveMiB: number) {
  const answers: ((freeMiB: number) => void)[] = []
  const files = {
    diskUsage: () =>
      new Promise(resolve => answers.push(freeMiB => resolve({ freeBytes: freeMiB * MIB, totalBytes: 1000 * MIB })))
  }
  const changes: boolean[] = []
  const clock = { nowMs: () => 0, monotonicMs: () => 0, endOfTurn() {}, after: () => ({ cancel() {} }) }
  const space = new DiskSpace({
    files: files as never,
    directory: '/',
    clock,
    reserveBytes: () => reserveMiB * MIB,
    onChange: isLow => changes.push(isLow)
  })
  const answer = async (freeMiB: number): Promise<void> => {
    answers.shift()?.(freeMiB)
    await new Promise(setImmediate)
  }
  return { space, changes, answers, answer }
}

test('an append that is refused while the disk is asked makes it be asked again', async t => {
  const { space, changes, answers, answer } = diskOf(30)
  void space.check()
  await answer(40)
  space.note(6 * MIB)
  t.notOk(space.isLow, 'six of ten are taken, and the disk is asked')
  space.note(5 * MIB)
  t.ok(space.isLow, 'refused by reckoning')
  await answer(34)
  t.same(changes, [], 'that answer is from before')
  t.equal(answers.length, 1, 'so it is asked again')
  await answer(31)
  t.same(changes, [true], 'and says so')
  t.ok(space.isLow)
})

test('an append that is refused right after a look makes the disk be asked again', async t => {
  const { space, changes, answers, answer } = diskOf(30)
  void space.check()
  await answer(30.2)
  space.note(0.9 * MIB)
  t.ok(space.isLow, 'there was less room than that')
  t.equal(answers.length, 1, 'asked at once, though little was appended and no second has passed')
  await answer(30.1)
  t.same(changes, [true])
})
