// The same requests, in every version, to the broker under test and to an Apache Kafka beside it: the answers must be
// equal. What differs between any two brokers (ids, addresses, times, the words of messages) is replaced by a name.
// What is different on purpose stands in `ON_PURPOSE`, with its reason.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { apiVersions } from '../../protocol/messages/api-versions.ts'
import { prepareCompression } from '../../protocol/records/compression.ts'
import { clusterScenarios } from './differential-cluster.ts'
import { compareFrames } from './differential-frames.ts'
import { groupScenarios } from './differential-groups.ts'
import { recordScenarios } from './differential-records.ts'
import { MESSAGE, type Scenario, Stage } from './differential-stage.ts'
import { topicScenarios } from './differential-topics.ts'
import { noTools } from './java-tools.ts'
import type { Checks, Suite, Target } from './suite.ts'
import { startBroker } from './target.ts'

const settings = {
  'group.initial.rebalance.delay.ms': '0',
  'num.partitions': '1',
  'offsets.topic.num.partitions': '1',
  'auto.create.topics.enable': 'false',
  // The records are of the year 2023.
  'log.retention.ms': '-1'
}

export const differential: Suite = {
  name: 'differential',
  settings,
  async run(target, checks) {
    if (target.tools === undefined) return checks.skip('all', noTools)
    await prepareCompression()
    const program = target.tools.program
    const kafka = await startBroker({ kind: 'kafka', program }, join(target.scratch, 'kafka'), settings)
    try {
      const ranges = await rangesOf(target)
      for (const scenario of [...topicScenarios, ...recordScenarios, ...groupScenarios, ...clusterScenarios]) {
        const range = ranges.get(scenario.api.key)
        if (range === undefined) {
          checks.skip(scenario.name, `${scenario.api.name} (${scenario.api.key}) is not advertised`)
          continue
        }
        for (let version = range[0]; version <= range[1]; version++) {
          if (version < (scenario.fromVersion ?? 0)) continue
          // In between there is little that the oldest and the newest do not show.
          if (target.fast && version > range[0] && version < range[1]) continue
          await compare(scenario, version, target, kafka.bootstrap, checks)
        }
      }
      await compareFrames(target.bootstrap, kafka.bootstrap, checks)
    } finally {
      await kafka.stop()
    }
  }
}

/** Differences that are no faults: a part of the path, and why. */
const ON_PURPOSE: [path: RegExp, why: string][] = [
  [/^neither: Metadata/, 'one topic that cannot be meant harms none beside it'],
  [/^duplicate .*logAppendTimeMs/, 'a record keeps the time of its creation, whether its first answer came or not'],
  [/^two batches: Produce .*logStartOffset/, 'the log was found, and its start says more than -1'],
  [/unknown.*: Fetch .*abortedTransactions/, 'nobody looks at them in an answer with an error'],
  [/^neither: Metadata v1[23]/, 'Apache Kafka answers UNKNOWN_SERVER_ERROR: nobody has thought of it'],
  [/^unknown operation: IncrementalAlterConfigs .*errorCode/, 'INVALID_REQUEST says more than UNKNOWN_SERVER_ERROR'],
  [/^broker (controller\.listener\.names|process\.roles) \.synonyms/, 'both have a default here'],
  [
    /^broker broker\.(heartbeat\.interval|session\.timeout)\.ms /,
    'an idle heartbeat costs little here, and news travel with them'
  ],
  [/^broker listener\.security\.protocol\.map \.readOnly/, 'listeners are opened at the start']
]

async function rangesOf(target: Target): Promise<Map<number, readonly [number, number]>> {
  const stage = new Stage(target.bootstrap, '')
  const answer = await stage.ask(apiVersions, 3, { clientSoftwareName: 'interop', clientSoftwareVersion: '1' })
  await stage.close()
  if (typeof answer === 'string') throw new Error(`ApiVersions: ${answer}`)
  return new Map(answer.apiKeys.map(({ apiKey, minVersion, maxVersion }) => [apiKey, [minVersion, maxVersion]]))
}

async function compare(
  scenario: Scenario,
  version: number,
  target: Target,
  kafka: string,
  checks: Checks
): Promise<void> {
  const name = `${scenario.name} ${scenario.api.name} v${version}`
  await checks.check(name, async () => {
    // Both get the same names, and a scenario is played once for each version.
    const tag = `${target.tag}-${scenario.name}-${scenario.api.name}-${version}`
    const stages = [new Stage(kafka, tag), new Stage(target.bootstrap, tag)] as const
    await Promise.all(stages.map(stage => scenario.play(stage, version)))
    await Promise.all(stages.map(stage => stage.close()))
    const differences = stages[0].answers
      .flatMap(({ step, answer }, i) => differencesOf(answer, stages[1].answers[i]?.answer, step))
      .filter(difference => !ON_PURPOSE.some(([path]) => path.test(difference)))
    assert.equal(differences.length, 0, `Apache Kafka | this broker\n${differences.slice(0, 30).join('\n')}`)
  })
}

function differencesOf(expected: unknown, actual: unknown, path: string): string[] {
  const isTree = (value: unknown): value is Record<string, unknown> => value !== null && typeof value === 'object'
  if (isTree(expected) && isTree(actual)) {
    const keys = new Set([...Object.keys(expected), ...Object.keys(actual)])
    return [...keys].flatMap(key => differencesOf(expected[key], actual[key], `${path} .${key}`))
  }
  // Words are free, but only where there is an error: some clients show a message as one (kafkajs).
  if (expected === MESSAGE && (actual === null || actual === MESSAGE)) return []
  return Object.is(expected, actual) ? [] : [`${path}: ${JSON.stringify(expected)} | ${JSON.stringify(actual)}`]
}
