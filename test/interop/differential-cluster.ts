// What a broker says about itself and its cluster, for the comparison with Apache Kafka.
import { apiVersions } from '../../protocol/messages/api-versions.ts'
import { describeCluster } from '../../protocol/messages/describe-cluster.ts'
import { describeLogDirs } from '../../protocol/messages/describe-log-dirs.ts'
import { describeProducers } from '../../protocol/messages/describe-producers.ts'
import { describeQuorum } from '../../protocol/messages/describe-quorum.ts'
import { electLeaders } from '../../protocol/messages/elect-leaders.ts'
import { getTelemetrySubscriptions } from '../../protocol/messages/get-telemetry-subscriptions.ts'
import { unregisterBroker } from '../../protocol/messages/unregister-broker.ts'
import type { Scenario } from './differential-stage.ts'

/** APIs and features that are still to come are not compared: only what is offered must be offered as Kafka does. */
const versions: Scenario = {
  name: 'cluster',
  api: apiVersions,
  async play(stage, version) {
    const client = { clientSoftwareName: 'interop', clientSoftwareVersion: '1.0' }
    const answer = await stage.ask(apiVersions, version, client)
    if (typeof answer === 'string') throw new Error(answer)
    const { apiKeys, errorCode } = answer
    const kept = apiKeys.filter(({ apiKey }) => always.includes(apiKey))
    stage.answers.push({ step: 'ranges', answer: { errorCode, kept: kept.sort((a, b) => a.apiKey - b.apiKey) } })
    if (version >= 3) await stage.call('bad name', apiVersions, version, { ...client, clientSoftwareName: 'no good' })
  }
}

/** Produce ... DescribeTopicPartitions: what every broker of this kind offers. (Telemetry is offered by Apache Kafka
 *  only where a plug-in takes it.) */
const always = [
  0, 1, 2, 3, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 19, 20, 21, 22, 23, 32, 33, 35, 37, 42, 43, 44, 47, 55, 60, 61, 64,
  74, 75
]

const clusters: Scenario = {
  name: 'cluster',
  api: describeCluster,
  async play(stage, version) {
    await stage.call('all', describeCluster, version, {})
    await stage.call('operations', describeCluster, version, { includeClusterAuthorizedOperations: true })
    if (version >= 1) await stage.call('controllers of a broker', describeCluster, version, { endpointType: 2 })
    if (version >= 1) await stage.call('unknown endpoints', describeCluster, version, { endpointType: 7 })
  }
}

const quorums: Scenario = {
  name: 'cluster',
  api: describeQuorum,
  async play(stage, version) {
    const ask = (what: string, topicName: string, partitionIndex = 0) =>
      stage.call(what, describeQuorum, version, { topics: [{ topicName, partitions: [{ partitionIndex }] }] })
    await ask('another topic', 'x')
    await ask('another partition', '__cluster_metadata', 3)
  }
}

const elections: Scenario = {
  name: 'cluster',
  api: electLeaders,
  async play(stage, version) {
    const topic = `${stage.tag}-t`
    await stage.createTopic(topic, 2)
    const elect = (what: string, topicPartitions: object[] | null, electionType = 0) =>
      stage.call(what, electLeaders, version, { electionType, topicPartitions, timeoutMs: 5000 })
    await elect('preferred', [{ topic, partitions: [0, 1] }])
    await elect('unknown', [{ topic, partitions: [7] }])
    await elect('unknown topic', [{ topic: `${topic}-missing`, partitions: [0] }])
    await elect('all', null)
    if (version >= 1) await elect('unclean', [{ topic, partitions: [0] }], 1)
    if (version >= 1) await elect('unknown type', [{ topic, partitions: [0] }], 7)
  }
}

const directories: Scenario = {
  name: 'cluster',
  api: describeLogDirs,
  async play(stage, version) {
    const topic = `${stage.tag}-t`
    await stage.createTopic(topic, 2)
    await stage.call('one', describeLogDirs, version, { topics: [{ topic, partitions: [0, 1] }] })
    await stage.call('unknown', describeLogDirs, version, { topics: [{ topic: `${topic}-missing`, partitions: [0] }] })
    await stage.call('nothing', describeLogDirs, version, { topics: [] })
  }
}

const producers: Scenario = {
  name: 'cluster',
  api: describeProducers,
  async play(stage, version) {
    const topic = `${stage.tag}-t`
    await stage.createTopic(topic)
    await stage.call('none', describeProducers, version, { topics: [{ name: topic, partitionIndexes: [0, 4] }] })
    await stage.call('unknown', describeProducers, version, {
      topics: [{ name: `${topic}-missing`, partitionIndexes: [0] }]
    })
  }
}

const unregistering: Scenario = {
  name: 'cluster',
  api: unregisterBroker,
  async play(stage, version) {
    await stage.call('unknown', unregisterBroker, version, { brokerId: 77 })
    await stage.call('negative', unregisterBroker, version, { brokerId: -1 })
  }
}

const telemetry: Scenario = {
  name: 'cluster',
  api: getTelemetrySubscriptions,
  async play(stage, version) {
    await stage.call('first', getTelemetrySubscriptions, version, {})
  }
}

export const clusterScenarios = [
  versions,
  clusters,
  quorums,
  elections,
  directories,
  producers,
  unregistering,
  telemetry
]
