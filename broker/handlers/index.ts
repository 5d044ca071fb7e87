// Every API that works here. What is not in this list is not advertised and not answered: there are no stubs.

import { onAllocateProducerIds } from './allocate-producer-ids.ts'
import { onAlterConfigs } from './alter-configs.ts'
import { onAlterPartition } from './alter-partition.ts'
import { onAlterPartitionReassignments } from './alter-partition-reassignments.ts'
import { apiVersionsOf } from './api-versions.ts'
import { onBeginQuorumEpoch } from './begin-quorum-epoch.ts'
import { onBrokerHeartbeat } from './broker-heartbeat.ts'
import { onBrokerRegistration } from './broker-registration.ts'
import { onControllerRegistration } from './controller-registration.ts'
import { onCreatePartitions } from './create-partitions.ts'
import { onCreateTopics } from './create-topics.ts'
import { onDeleteGroups } from './delete-groups.ts'
import { onDeleteRecords } from './delete-records.ts'
import { onDeleteTopics } from './delete-topics.ts'
import { onDescribeCluster } from './describe-cluster.ts'
import { onDescribeConfigs } from './describe-configs.ts'
import { onDescribeGroups } from './describe-groups.ts'
import { onDescribeLogDirs } from './describe-log-dirs.ts'
import { onDescribeProducers } from './describe-producers.ts'
import { onDescribeQuorum } from './describe-quorum.ts'
import { onDescribeTopicPartitions } from './describe-topic-partitions.ts'
import { onElectLeaders } from './elect-leaders.ts'
import { onEndQuorumEpoch } from './end-quorum-epoch.ts'
import { envelopeHandler } from './envelope.ts'
import { onFetch } from './fetch.ts'
import { onFetchSnapshot } from './fetch-snapshot.ts'
import { onFindCoordinator } from './find-coordinator.ts'
import { onGetTelemetrySubscriptions } from './get-telemetry-subscriptions.ts'
import type { Handler } from './handler.ts'
import { onHeartbeat } from './heartbeat.ts'
import { onIncrementalAlterConfigs } from './incremental-alter-configs.ts'
import { onInitProducerId } from './init-producer-id.ts'
import { onJoinGroup } from './join-group.ts'
import { onLeaveGroup } from './leave-group.ts'
import { onListConfigResources } from './list-config-resources.ts'
import { onListGroups } from './list-groups.ts'
import { onListOffsets } from './list-offsets.ts'
import { onListPartitionReassignments } from './list-partition-reassignments.ts'
import { onMetadata } from './metadata.ts'
import { onOffsetCommit } from './offset-commit.ts'
import { onOffsetDelete } from './offset-delete.ts'
import { onOffsetFetch } from './offset-fetch.ts'
import { onOffsetForLeaderEpoch } from './offset-for-leader-epoch.ts'
import { onProduce } from './produce.ts'
import { onPushTelemetry } from './push-telemetry.ts'
import { onSyncGroup } from './sync-group.ts'
import { onUnregisterBroker } from './unregister-broker.ts'
import { onUpdateFeatures } from './update-features.ts'
import { onVote } from './vote.ts'

const onEnvelope = envelopeHandler(() => HANDLERS)
const onApiVersions = apiVersionsOf(() => HANDLERS.map(each => each.api))

export const HANDLERS: readonly Handler[] = [
  onProduce,
  onFetch,
  onListOffsets,
  onMetadata,
  onOffsetCommit,
  onOffsetFetch,
  onFindCoordinator,
  onJoinGroup,
  onHeartbeat,
  onLeaveGroup,
  onSyncGroup,
  onDescribeGroups,
  onListGroups,
  onApiVersions,
  onCreateTopics,
  onDeleteTopics,
  onDeleteRecords,
  onInitProducerId,
  onOffsetForLeaderEpoch,
  onDescribeConfigs,
  onAlterConfigs,
  onDescribeLogDirs,
  onCreatePartitions,
  onDeleteGroups,
  onElectLeaders,
  onIncrementalAlterConfigs,
  onAlterPartitionReassignments,
  onListPartitionReassignments,
  onOffsetDelete,
  onVote,
  onBeginQuorumEpoch,
  onEndQuorumEpoch,
  onDescribeQuorum,
  onFetchSnapshot,
  onDescribeCluster,
  onDescribeProducers,
  onUnregisterBroker,
  onAlterPartition,
  onUpdateFeatures,
  onEnvelope,
  onBrokerRegistration,
  onBrokerHeartbeat,
  onAllocateProducerIds,
  onControllerRegistration,
  onGetTelemetrySubscriptions,
  onPushTelemetry,
  onListConfigResources,
  onDescribeTopicPartitions
] as unknown as readonly Handler[]
