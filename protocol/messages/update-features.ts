// UpdateFeatures, API key 57. KIP-584; 1 adds dry runs and kinds of downgrade, 2 drops results of single features.

import { api, array, bool, i8, i16, i32, text } from '../schema.ts'

/** Sets the finalized level of features. */
export const updateFeatures = api({
  key: 57,
  name: 'UpdateFeatures',
  versions: [0, 2],
  flexibleFrom: 0,
  listeners: ['broker', 'controller'],
  request: {
    timeoutMs: i32.default(60000),
    featureUpdates: array({
      feature: text,
      maxVersionLevel: i16,
      allowDowngrade: bool.until(0),
      upgradeType: i8.since(1).default(1)
    }),
    validateOnly: bool.since(1)
  },
  response: {
    throttleTimeMs: i32,
    errorCode: i16,
    errorMessage: text.orNull().default(null),
    results: array({
      feature: text,
      errorCode: i16,
      errorMessage: text.orNull().default(null)
    }).until(1)
  }
})
