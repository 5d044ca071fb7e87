// The error codes of the protocol: values in replies, never thrown. Names, numbers and which may be tried again are
// Kafka's (org.apache.kafka.common.protocol.Errors); the messages are ours.

/** Name -> code, what it says to people, and whether trying again may help. */
const ERRORS = {
  UNKNOWN_SERVER_ERROR: [-1, 'the broker failed in a way that it did not foresee'],
  NONE: [0, 'no error'],
  OFFSET_OUT_OF_RANGE: [1, 'the offset lies outside of the log'],
  CORRUPT_MESSAGE: [2, 'the record batch is damaged, or breaks the rules of its topic', true],
  UNKNOWN_TOPIC_OR_PARTITION: [3, 'this broker does not have that topic or partition', true],
  INVALID_FETCH_SIZE: [4, 'the fetch size is not valid'],
  LEADER_NOT_AVAILABLE: [5, 'the partition has no leader at the moment', true],
  NOT_LEADER_OR_FOLLOWER: [6, 'this broker is neither leader nor follower of the partition', true],
  REQUEST_TIMED_OUT: [7, 'the request was not done in time', true],
  BROKER_NOT_AVAILABLE: [8, 'the broker is not there'],
  REPLICA_NOT_AVAILABLE: [9, 'the replica is not there', true],
  MESSAGE_TOO_LARGE: [10, 'a record batch is larger than the broker takes'],
  STALE_CONTROLLER_EPOCH: [11, 'the controller epoch is out of date'],
  OFFSET_METADATA_TOO_LARGE: [12, 'the metadata of the offset is too long'],
  NETWORK_EXCEPTION: [13, 'the connection broke before an answer came', true],
  COORDINATOR_LOAD_IN_PROGRESS: [14, 'the coordinator is still loading its state', true],
  COORDINATOR_NOT_AVAILABLE: [15, 'no coordinator is there at the moment', true],
  NOT_COORDINATOR: [16, 'this broker is not the coordinator', true],
  INVALID_TOPIC_EXCEPTION: [17, 'the topic name is not valid, or the topic may not be written to'],
  RECORD_LIST_TOO_LARGE: [18, 'the record list is larger than a segment'],
  NOT_ENOUGH_REPLICAS: [19, 'too few replicas are in sync', true],
  NOT_ENOUGH_REPLICAS_AFTER_APPEND: [20, 'written, but too few replicas were in sync to hold it safely', true],
  INVALID_REQUIRED_ACKS: [21, 'acks must be 0, 1 or -1'],
  ILLEGAL_GENERATION: [22, 'the generation is not the current one of the group'],
  INCONSISTENT_GROUP_PROTOCOL: [23, 'the member shares no protocol with the group'],
  INVALID_GROUP_ID: [24, 'the group id is not valid'],
  UNKNOWN_MEMBER_ID: [25, 'the coordinator does not know this member'],
  INVALID_SESSION_TIMEOUT: [26, 'the session time-out is out of bounds'],
  REBALANCE_IN_PROGRESS: [27, 'the group is rebalancing: join again'],
  INVALID_COMMIT_OFFSET_SIZE: [28, 'the offsets are too large to be committed'],
  TOPIC_AUTHORIZATION_FAILED: [29, 'not authorised for the topic'],
  GROUP_AUTHORIZATION_FAILED: [30, 'not authorised for the group'],
  CLUSTER_AUTHORIZATION_FAILED: [31, 'not authorised for the cluster'],
  INVALID_TIMESTAMP: [32, 'the timestamp of a record is out of bounds'],
  UNSUPPORTED_SASL_MECHANISM: [33, 'the SASL mechanism is not offered'],
  ILLEGAL_SASL_STATE: [34, 'not what SASL expects next'],
  UNSUPPORTED_VERSION: [35, 'the API is not served at this version'],
  TOPIC_ALREADY_EXISTS: [36, 'a topic of this name exists'],
  INVALID_PARTITIONS: [37, 'the number of partitions is not valid'],
  INVALID_REPLICATION_FACTOR: [38, 'the replication factor is not valid, or there are too few brokers for it'],
  INVALID_REPLICA_ASSIGNMENT: [39, 'the assignment of replicas is not valid'],
  INVALID_CONFIG: [40, 'a setting is not valid'],
  NOT_CONTROLLER: [41, 'this node is not the active controller', true],
  INVALID_REQUEST: [42, 'the request contradicts itself or the protocol'],
  UNSUPPORTED_FOR_MESSAGE_FORMAT: [43, 'the format of the records does not support this'],
  POLICY_VIOLATION: [44, 'a policy forbids the request'],
  OUT_OF_ORDER_SEQUENCE_NUMBER: [45, 'a sequence number is missing before this one'],
  DUPLICATE_SEQUENCE_NUMBER: [46, 'the batch was appended before'],
  INVALID_PRODUCER_EPOCH: [47, 'the producer epoch is older than the current one'],
  INVALID_TXN_STATE: [48, 'not possible in the present state of the transaction'],
  INVALID_PRODUCER_ID_MAPPING: [49, 'the producer id does not belong to the transactional id'],
  INVALID_TRANSACTION_TIMEOUT: [50, 'the transaction time-out is longer than the broker allows'],
  CONCURRENT_TRANSACTIONS: [51, 'another change of this transaction is under way', true],
  TRANSACTION_COORDINATOR_FENCED: [52, 'the transaction coordinator was replaced by a newer one'],
  TRANSACTIONAL_ID_AUTHORIZATION_FAILED: [53, 'not authorised for the transactional id'],
  SECURITY_DISABLED: [54, 'security is not switched on'],
  OPERATION_NOT_ATTEMPTED: [55, 'not tried, since another part of the request failed'],
  KAFKA_STORAGE_ERROR: [56, 'the disk failed under the log', true],
  LOG_DIR_NOT_FOUND: [57, 'the broker has no such log directory'],
  SASL_AUTHENTICATION_FAILED: [58, 'SASL authentication failed'],
  UNKNOWN_PRODUCER_ID: [59, 'the partition knows nothing of this producer'],
  REASSIGNMENT_IN_PROGRESS: [60, 'the partition is being reassigned'],
  DELEGATION_TOKEN_AUTH_DISABLED: [61, 'delegation tokens are switched off'],
  DELEGATION_TOKEN_NOT_FOUND: [62, 'there is no such delegation token'],
  DELEGATION_TOKEN_OWNER_MISMATCH: [63, 'the delegation token belongs to someone else'],
  DELEGATION_TOKEN_REQUEST_NOT_ALLOWED: [64, 'delegation tokens cannot be asked for on this connection'],
  DELEGATION_TOKEN_AUTHORIZATION_FAILED: [65, 'not authorised for the delegation token'],
  DELEGATION_TOKEN_EXPIRED: [66, 'the delegation token has expired'],
  INVALID_PRINCIPAL_TYPE: [67, 'the type of principal is not valid'],
  NON_EMPTY_GROUP: [68, 'the group still has members'],
  GROUP_ID_NOT_FOUND: [69, 'there is no such group'],
  FETCH_SESSION_ID_NOT_FOUND: [70, 'the fetch session does not exist', true],
  INVALID_FETCH_SESSION_EPOCH: [71, 'the epoch of the fetch session is not the next one', true],
  LISTENER_NOT_FOUND: [72, 'the leader has no listener of the name that this connection uses', true],
  TOPIC_DELETION_DISABLED: [73, 'deleting topics is switched off'],
  FENCED_LEADER_EPOCH: [74, 'the leader epoch is older than the current one', true],
  UNKNOWN_LEADER_EPOCH: [75, 'the leader epoch is newer than the current one', true],
  UNSUPPORTED_COMPRESSION_TYPE: [76, 'the compression is not supported at this version'],
  STALE_BROKER_EPOCH: [77, 'the broker epoch is out of date'],
  OFFSET_NOT_AVAILABLE: [78, 'the leader does not know its high watermark yet', true],
  MEMBER_ID_REQUIRED: [79, 'join again with the member id that was given'],
  PREFERRED_LEADER_NOT_AVAILABLE: [80, 'the preferred leader cannot lead', true],
  GROUP_MAX_SIZE_REACHED: [81, 'the group is full'],
  FENCED_INSTANCE_ID: [82, 'a newer member took over this instance id'],
  ELIGIBLE_LEADERS_NOT_AVAILABLE: [83, 'no replica that may lead is there', true],
  ELECTION_NOT_NEEDED: [84, 'the partition needs no election', true],
  NO_REASSIGNMENT_IN_PROGRESS: [85, 'no reassignment is under way'],
  GROUP_SUBSCRIBED_TO_TOPIC: [86, 'the group is subscribed to the topic'],
  INVALID_RECORD: [87, 'a record breaks the rules of its topic'],
  UNSTABLE_OFFSET_COMMIT: [88, 'some offsets are part of an open transaction', true],
  THROTTLING_QUOTA_EXCEEDED: [89, 'the quota is used up for now', true],
  PRODUCER_FENCED: [90, 'a newer producer took over this transactional id'],
  RESOURCE_NOT_FOUND: [91, 'there is no such resource'],
  DUPLICATE_RESOURCE: [92, 'the resource exists already'],
  UNACCEPTABLE_CREDENTIAL: [93, 'the credential is not acceptable'],
  INCONSISTENT_VOTER_SET: [94, 'the voter sets differ'],
  INVALID_UPDATE_VERSION: [95, 'the feature level is not valid'],
  FEATURE_UPDATE_FAILED: [96, 'the feature level could not be set'],
  PRINCIPAL_DESERIALIZATION_FAILURE: [97, 'the principal could not be read'],
  SNAPSHOT_NOT_FOUND: [98, 'there is no such snapshot'],
  POSITION_OUT_OF_RANGE: [99, 'the position lies outside of the snapshot'],
  UNKNOWN_TOPIC_ID: [100, 'this broker does not have a topic of that id', true],
  DUPLICATE_BROKER_REGISTRATION: [101, 'the broker id is taken'],
  BROKER_ID_NOT_REGISTERED: [102, 'the broker id is not registered'],
  INCONSISTENT_TOPIC_ID: [103, 'the topic id differs from the one in the log', true],
  INCONSISTENT_CLUSTER_ID: [104, 'the cluster id differs'],
  TRANSACTIONAL_ID_NOT_FOUND: [105, 'there is no such transactional id'],
  FETCH_SESSION_TOPIC_ID_ERROR: [106, 'the fetch session mixes topic ids and names', true],
  INELIGIBLE_REPLICA: [107, 'a replica is not eligible for the in-sync set'],
  NEW_LEADER_ELECTED: [108, 'the change made another broker leader'],
  OFFSET_MOVED_TO_TIERED_STORAGE: [109, 'the offset was moved to tiered storage'],
  FENCED_MEMBER_EPOCH: [110, 'the member epoch is not the current one'],
  UNRELEASED_INSTANCE_ID: [111, 'another member still holds this instance id'],
  UNSUPPORTED_ASSIGNOR: [112, 'the assignor is not known'],
  STALE_MEMBER_EPOCH: [113, 'the member epoch is out of date: heartbeat first'],
  MISMATCHED_ENDPOINT_TYPE: [114, 'the request went to an endpoint of the other kind'],
  UNSUPPORTED_ENDPOINT_TYPE: [115, 'this kind of endpoint is not supported'],
  UNKNOWN_CONTROLLER_ID: [116, 'the controller id is not known'],
  UNKNOWN_SUBSCRIPTION_ID: [117, 'the telemetry subscription is not the current one'],
  TELEMETRY_TOO_LARGE: [118, 'the telemetry is too large'],
  INVALID_REGISTRATION: [119, 'the registration is not valid'],
  TRANSACTION_ABORTABLE: [120, 'the transaction must be aborted'],
  INVALID_RECORD_STATE: [121, 'the record is not in a state that allows this'],
  SHARE_SESSION_NOT_FOUND: [122, 'the share session does not exist', true],
  INVALID_SHARE_SESSION_EPOCH: [123, 'the epoch of the share session is not the next one', true],
  FENCED_STATE_EPOCH: [124, 'the state epoch is out of date'],
  INVALID_VOTER_KEY: [125, 'the voter key does not match'],
  DUPLICATE_VOTER: [126, 'the voter is in the set already'],
  VOTER_NOT_FOUND: [127, 'the voter is not in the set'],
  INVALID_REGULAR_EXPRESSION: [128, 'the regular expression is not valid'],
  REBOOTSTRAP_REQUIRED: [129, 'the client must start again from its bootstrap servers'],
  STREAMS_INVALID_TOPOLOGY: [130, 'the topology is not valid'],
  STREAMS_INVALID_TOPOLOGY_EPOCH: [131, 'the topology epoch is not valid'],
  STREAMS_TOPOLOGY_FENCED: [132, 'the topology epoch is out of date'],
  SHARE_SESSION_LIMIT_REACHED: [133, 'too many share sessions are open', true]
} as const satisfies { readonly [name: string]: readonly [number, string, true?] }

export type ErrorName = keyof typeof ERRORS
/** A code on the wire; a peer may send one that this table does not have. */
export type ErrorCode = number

interface Row {
  readonly name: ErrorName
  readonly message: string
  readonly retriable: boolean
}

const rows = new Map<number, Row>()
const codes: { [name: string]: number } = {}
for (const [name, [code, message, retriable]] of Object.entries<readonly [number, string, true?]>(ERRORS)) {
  rows.set(code, { name: name as ErrorName, message, retriable: retriable === true })
  codes[name] = code
}

/** ErrorCode.NOT_COORDINATOR is 16. */
export const ErrorCode = codes as { readonly [N in ErrorName]: (typeof ERRORS)[N][0] }

/** The name of a code; one that is not in the table counts as UNKNOWN_SERVER_ERROR, as in Kafka's clients. */
export function errorName(code: number): ErrorName {
  return rows.get(code)?.name ?? 'UNKNOWN_SERVER_ERROR'
}

/** One line for people. */
export function errorMessage(code: number): string {
  return (rows.get(code) ?? (rows.get(-1) as Row)).message
}

/** Whether the same request may succeed later. */
export function isRetriable(code: number): boolean {
  return rows.get(code)?.retriable ?? false
}
