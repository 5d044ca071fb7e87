// ApiVersions, API key 18. 3 names the client's software and brings features (KIP-511, KIP-584), 4 allows features
// whose lowest version is 0. The response header is version 0 always.

import { api, array, bool, i16, i32, i64, text } from '../schema.ts'

/** Tells a client which versions of which APIs the broker speaks. */
export const apiVersions = api({
  key: 18,
  name: 'ApiVersions',
  versions: [0, 4],
  flexibleFrom: 3,
  listeners: ['broker', 'controller'],
  request: {
    clientSoftwareName: text.since(3),
    clientSoftwareVersion: text.since(3)
  },
  response: {
    errorCode: i16,
    apiKeys: array({
      apiKey: i16,
      minVersion: i16,
      maxVersion: i16
    }),
    throttleTimeMs: i32.since(1),
    supportedFeatures: array({
      name: text,
      minVersion: i16,
      maxVersion: i16
    }).tag(0, 3),
    finalizedFeaturesEpoch: i64.tag(1, 3).default(-1),
    finalizedFeatures: array({
      name: text,
      maxVersionLevel: i16,
      minVersionLevel: i16
    }).tag(2, 3),
    zkMigrationReady: bool.tag(3, 3)
  }
})
