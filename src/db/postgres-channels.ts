/** PostgreSQL notification channel that rings when hot configuration changed. */
export const CONFIG_CHANNEL = 'portcullis_config';

/** PostgreSQL notification channel that rings when decisions were committed. */
export const DECISION_CHANNEL = 'portcullis_decisions';

/** PostgreSQL notification channel that rings when a message was sent to the replica that the payload names. */
export const MESSAGE_CHANNEL = 'portcullis_messages';
