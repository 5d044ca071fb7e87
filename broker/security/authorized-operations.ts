// What a principal may do with a resource, as the bit field that Metadata, DescribeCluster and DescribeGroups carry
// (KIP-430). There is no authoriser yet, so everybody may do everything that the kind of resource knows.

const READ = 3
const WRITE = 4
const CREATE = 5
const DELETE = 6
const ALTER = 7
const DESCRIBE = 8
const CLUSTER_ACTION = 9
const DESCRIBE_CONFIGS = 10
const ALTER_CONFIGS = 11
const IDEMPOTENT_WRITE = 12

/** Asked for nothing: the field's default. */
export const OPERATIONS_NOT_ASKED = -2147483648

/** AclEntry.supportedOperations: which operations exist for a kind of resource. */
const SUPPORTED = {
  TOPIC: [READ, WRITE, CREATE, DELETE, ALTER, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS],
  CLUSTER: [CREATE, ALTER, DESCRIBE, CLUSTER_ACTION, DESCRIBE_CONFIGS, ALTER_CONFIGS, IDEMPOTENT_WRITE],
  GROUP: [READ, DELETE, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS]
} as const

export function authorizedOperations(resource: keyof typeof SUPPORTED): number {
  return SUPPORTED[resource].reduce((bits, operation) => bits | (1 << operation), 0)
}
