// Making metadata records: whole, and at the version that the finalised metadata.version writes, so that any node of
// that level can read them (server-common/.../MetadataVersion.java). What is decided is taken through the codec once,
// so that the live image sees exactly what a replay will see.
import {
  decodeMetadataRecord,
  encodeMetadataRecord,
  type MetadataDraft,
  type MetadataRecord,
  type MetadataType
} from '../../protocol/cluster/metadata.ts'

export type { MetadataRecord, MetadataType }
export type RecordOfType<T extends MetadataType> = Extract<MetadataRecord, { type: T }>['record']
export type DraftOfType<T extends MetadataType> = Extract<MetadataDraft, { type: T }>['record']

/** Levels of metadata.version at which a record got a new version. */
const LEVEL_3_4_IV0 = 8
const LEVEL_3_7_IV2 = 17
const LEVEL_4_0_IV1 = 23
const LEVEL_4_3_IV0 = 30

export function recordAt<T extends MetadataType>(
  metadataVersion: number,
  type: T,
  draft: DraftOfType<T>
): MetadataRecord {
  const version = versionOf(metadataVersion, type)
  return decodeMetadataRecord(encodeMetadataRecord({ type, version, record: draft } as MetadataDraft))
}

function versionOf(level: number, type: MetadataType): number {
  switch (type) {
    case 'RegisterBrokerRecord':
      if (level >= LEVEL_4_3_IV0) return 4
      if (level >= LEVEL_3_7_IV2) return 3
      return level >= LEVEL_3_4_IV0 ? 2 : 1
    case 'PartitionRecord':
    case 'PartitionChangeRecord':
      if (level >= LEVEL_4_0_IV1) return 2
      return level >= LEVEL_3_7_IV2 ? 1 : 0
    case 'BrokerRegistrationChangeRecord':
      return level >= LEVEL_3_7_IV2 ? 2 : 1
    default:
      return 0
  }
}
