// Authentication and authorisation. Names, types, defaults and limits are Kafka's.
import { className, double, ignoredRows, int, LATER, list, long, password, short, text, word } from './setting.ts'

export const securitySettings = {
  'security.inter.broker.protocol': word(
    'PLAINTEXT',
    ['PLAINTEXT', 'SSL', 'SASL_PLAINTEXT', 'SASL_SSL'],
    'The security protocol between brokers.'
  ),
  'authorizer.class.name': text('', 'The class that decides who may do what; must stay empty until ACLs are built.'),
  ...ignoredRows(LATER.security, {
    'principal.builder.class': className(
      'org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder',
      'A Java class that names the user of a connection.',
      { update: 'per-broker' }
    ),
    'delegation.token.expiry.check.interval.ms': long(3600000, 'How often expired tokens are looked for.', { min: 1 }),
    'delegation.token.expiry.time.ms': long(86400000, 'A token must be renewed within this time.', { min: 1 }),
    'delegation.token.max.lifetime.ms': long(604800000, 'A token cannot be renewed beyond this age.', { min: 1 }),
    'delegation.token.secret.key': password('The secret that signs tokens.'),
    'sasl.enabled.mechanisms': list('GSSAPI', 'The SASL mechanisms that are offered.', { update: 'per-broker' }),
    'sasl.mechanism.controller.protocol': text('GSSAPI', 'The SASL mechanism between controllers.'),
    'sasl.mechanism.inter.broker.protocol': text('GSSAPI', 'The SASL mechanism between brokers.', {
      update: 'per-broker'
    }),
    'sasl.server.max.receive.size': int(524288, 'The largest SASL message that is taken.'),
    'sasl.server.callback.handler.class': className(null, "A Java class that answers the SASL server's questions."),
    'sasl.client.callback.handler.class': className(null, "A Java class that answers the SASL client's questions."),
    'sasl.login.callback.handler.class': className(null, 'A Java class that answers questions at login.'),
    'sasl.login.class': className(null, 'A Java class that logs in.'),
    'sasl.login.connect.timeout.ms': int(null, 'Time-out for connections to an identity provider.'),
    'sasl.login.read.timeout.ms': int(null, 'Time-out for answers of an identity provider.'),
    'sasl.login.refresh.buffer.seconds': short(300, 'Credentials are renewed at least this long before they expire.', {
      update: 'per-broker'
    }),
    'sasl.login.refresh.min.period.seconds': short(60, 'Credentials are not renewed more often than this.', {
      update: 'per-broker'
    }),
    'sasl.login.refresh.window.factor': double('0.8', "The part of a credential's life after which it is renewed.", {
      update: 'per-broker'
    }),
    'sasl.login.refresh.window.jitter': double('0.05', 'Random part of that time.', { update: 'per-broker' }),
    'sasl.login.retry.backoff.max.ms': long(10000, 'The longest wait between two attempts to log in.'),
    'sasl.login.retry.backoff.ms': long(100, 'The first wait between two attempts to log in.'),
    'sasl.jaas.config': password('Login module and its options.', { update: 'per-broker' }),
    'sasl.kerberos.kinit.cmd': text('/usr/bin/kinit', 'Path of kinit.', { update: 'per-broker' }),
    'sasl.kerberos.min.time.before.relogin': long(
      60000,
      'Tickets are not renewed more often than this, in milliseconds.',
      { update: 'per-broker' }
    ),
    'sasl.kerberos.principal.to.local.rules': list('DEFAULT', 'How a Kerberos principal becomes a user name.', {
      update: 'per-broker'
    }),
    'sasl.kerberos.service.name': text(null, 'The Kerberos name of the service.', { update: 'per-broker' }),
    'sasl.kerberos.ticket.renew.jitter': double('0.05', 'Random part of the renewal time.', { update: 'per-broker' }),
    'sasl.kerberos.ticket.renew.window.factor': double(
      '0.8',
      "The part of a ticket's life after which it is renewed.",
      {
        update: 'per-broker'
      }
    )
  })
}
