// Kafka's consumer-groups tool: listing, members and state, every way of resetting offsets, and deletion.
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { checkSharing } from './java-members.ts'
import { callOf, javaSettings, lines, noTools, produce } from './java-tools.ts'
import { end } from './process.ts'
import type { Checks, Suite, Target } from './suite.ts'
import { until } from './suite.ts'
import type { Tools } from './tools.ts'

export const javaGroups: Suite = {
  name: 'java-groups',
  settings: javaSettings,
  async run(target, checks) {
    const { tools } = target
    if (tools === undefined) return checks.skip('all', noTools)
    const topic = `${target.tag}-reset`
    const group = `${target.tag}-reset-group`
    await callOf(target, tools)('kafka-topics', `--create --topic ${topic} --partitions 1`)
    await produce(target, tools, topic, 10)
    const middleMs = Date.now() + 5
    await new Promise(resolve => setTimeout(resolve, 50))
    await produce(target, tools, topic, 10)
    const args = `--topic ${topic} --group ${group} --from-beginning --max-messages 12`
    await callOf(target, tools)('kafka-console-consumer', args)
    await checkResets({ target, tools, checks, topic, group, middleMs })
    await checkResetFiles({ target, tools, checks, topic, group, middleMs })
    await checkMembers(target, tools, checks)
    await checkSharing(target, tools, checks)
    await checkDeletes({ target, tools, checks, topic, group, middleMs })
  }
}

interface Scene {
  target: Target
  tools: Tools
  checks: Checks
  topic: string
  group: string
  /** A time between the first ten records and the last ten. */
  middleMs: number
}

async function committed({ target, tools, topic, group }: Scene): Promise<string> {
  const text = await callOf(target, tools)('kafka-consumer-groups', `--describe --group ${group}`)
  const row = lines(text).find(line => line.includes(` ${topic} `)) ?? ''
  return row.split(/\s+/)[3] ?? ''
}

async function checkResets(scene: Scene): Promise<void> {
  const { target, tools, checks, topic, group, middleMs } = scene
  const reset = (option: string) =>
    callOf(target, tools)('kafka-consumer-groups', `--reset-offsets --group ${group} --topic ${topic} ${option}`)
  await checks.check('the group has what it committed', async () => {
    assert.equal(await committed(scene), '12')
    assert.match(
      await callOf(target, tools)('kafka-consumer-groups', `--describe --group ${group} --offsets`),
      /\s12\s+20\s+8\s/
    )
  })
  const iso = (ms: number) => new Date(ms).toISOString().replace('Z', '')
  const options: [option: string, offset: string][] = [
    ['--to-earliest', '0'],
    ['--to-latest', '20'],
    ['--to-offset 7', '7'],
    ['--shift-by 4', '11'],
    ['--shift-by -5', '6'],
    ['--shift-by 1000', '20'],
    ['--to-offset 3', '3'],
    ['--to-current', '3'],
    [`--to-datetime ${iso(middleMs)}`, '10'],
    ['--by-duration PT1H', '0'],
    ['--by-duration PT0S', '20']
  ]
  for (const [option, offset] of options) {
    await checks.check(`reset-offsets ${option.replace(/\d{4}.*/, 'TIME')}: dry run, then execute`, async () => {
      const before = await committed(scene)
      assert.match(await reset(`${option} --dry-run`), new RegExp(`${topic}\\s+0\\s+${offset}\\b`))
      assert.equal(await committed(scene), before, 'a dry run changes nothing')
      assert.match(await reset(`${option} --execute`), new RegExp(`${topic}\\s+0\\s+${offset}\\b`))
      assert.equal(await committed(scene), offset)
    })
  }
}

async function checkResetFiles(scene: Scene): Promise<void> {
  const { target, tools, checks, topic, group } = scene
  const call = callOf(target, tools)
  await checks.check('reset-offsets --export, then --from-file', async () => {
    const file = join(target.scratch, 'offsets.csv')
    const exported = await call(
      'kafka-consumer-groups',
      `--reset-offsets --group ${group} --topic ${topic} --to-earliest --export`
    )
    assert.match(exported, new RegExp(`"?${topic}"?,0,0`))
    writeFileSync(file, `${topic},0,9\n`)
    assert.match(readFileSync(file, 'utf8'), /,9/)
    await call('kafka-consumer-groups', `--reset-offsets --group ${group} --from-file ${file} --execute`)
    assert.equal(await committed(scene), '9')
  })
  await checks.check('reset-offsets --all-topics and --all-groups', async () => {
    await call('kafka-consumer-groups', `--reset-offsets --group ${group} --all-topics --to-offset 5 --execute`)
    assert.equal(await committed(scene), '5')
    await call('kafka-consumer-groups', `--reset-offsets --all-groups --topic ${topic} --to-offset 6 --execute`)
    assert.equal(await committed(scene), '6')
  })
  await checks.check('the group goes on from the reset', async () => {
    const text = await call('kafka-console-consumer', `--topic ${topic} --group ${group} --max-messages 1`)
    assert.deepEqual(lines(text), ['value-6'])
    assert.equal(await committed(scene), '7')
  })
}

async function checkMembers(target: Target, tools: Tools, checks: Checks): Promise<void> {
  const call = callOf(target, tools)
  const topic = `${target.tag}-members`
  const group = `${topic}-group`
  await call('kafka-topics', `--create --topic ${topic} --partitions 2`)
  await produce(target, tools, topic, 4)
  await checks.check('describe --members --state of a living group', async () => {
    const args = ['--bootstrap-server', target.bootstrap, '--topic', topic, '--group', group, '--from-beginning']
    const consumer = tools.launch('kafka-console-consumer', args)
    try {
      await until('the group is stable', 40_000, async () => {
        const { stdout } = await tools.call('kafka-consumer-groups', [
          ...['--bootstrap-server', target.bootstrap, '--describe', '--state', '--group', group]
        ])
        return stdout.includes('Stable') ? true : undefined
      })
      const state = await call('kafka-consumer-groups', `--describe --state --group ${group}`)
      assert.match(state, new RegExp(`${group}\\s+127\\.0\\.0\\.1:\\d+\\s+\\(\\d+\\)\\s+range\\s+Stable\\s+1`))
      const members = await call('kafka-consumer-groups', `--describe --members --verbose --group ${group}`)
      assert.match(members, /console-consumer-\S+\s+\/127\.0\.0\.1\s+console-consumer\s+2\s/)
      assert.match(members, new RegExp(`${topic}[:(]0,1`))
      assert.match(
        await call('kafka-consumer-groups', '--list --state'),
        new RegExp(`${group}\\s+Consumer\\s+Stable|${group}\\s+Stable`, 'i')
      )
      assert.match(await call('kafka-consumer-groups', '--list --state stable'), new RegExp(group))
      assert.match(await call('kafka-groups', '--list'), new RegExp(`${group}\\s+Classic\\s+consumer`))
      const busy = await tools.call('kafka-consumer-groups', [
        '--bootstrap-server',
        target.bootstrap,
        '--delete',
        '--group',
        group
      ])
      assert.match(busy.stdout + busy.stderr, /not empty/i)
      const args2 = `--reset-offsets --group ${group} --topic ${topic} --to-earliest --execute`
      const active = await tools.call('kafka-consumer-groups', [
        '--bootstrap-server',
        target.bootstrap,
        ...args2.split(' ')
      ])
      assert.match(active.stdout + active.stderr, /inactive|current state is Stable/i)
    } finally {
      end(consumer, 'SIGTERM')
    }
    await until('the group is empty', 20_000, async () => {
      const text = await call('kafka-consumer-groups', `--describe --state --group ${group}`)
      return text.includes('Empty') ? true : undefined
    })
  })
}

async function checkDeletes(scene: Scene): Promise<void> {
  const { target, tools, checks, topic, group } = scene
  const call = callOf(target, tools)
  await checks.check('delete-offsets', async () => {
    const text = await call('kafka-consumer-groups', `--delete-offsets --group ${group} --topic ${topic}`)
    assert.match(text, /Successful/)
    assert.equal(await committed(scene), '')
  })
  await checks.check('delete', async () => {
    await call('kafka-consumer-groups', `--reset-offsets --group ${group} --topic ${topic} --to-earliest --execute`)
    assert.match(await call('kafka-consumer-groups', `--delete --group ${group}`), /was successful/)
    assert.ok(!lines(await call('kafka-consumer-groups', '--list')).includes(group))
    const gone = await tools.call('kafka-consumer-groups', [
      '--bootstrap-server',
      target.bootstrap,
      '--delete',
      '--group',
      group
    ])
    assert.match(gone.stdout + gone.stderr, /does not exist|GroupIdNotFound/)
  })
}
