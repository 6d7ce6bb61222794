/**
 * A database that keeps what each statement cost.
 *
 * @param {any} database
 */
export function metered(database) {
  /** @type {{rows_read: number, rows_written: number}[]} */
  const metas = [];
  /** @param {any} statement @returns {any} */
  const meter = (statement) => ({
    statement,
    /** @param {unknown[]} values */
    bind: (...values) => meter(statement.bind(...values)),
    all: async () => keep([await statement.all()])[0],
    run: async () => keep([await statement.run()])[0],
  });
  /** @param {any[]} results */
  const keep = (results) => {
    metas.push(...results.map(({ meta }) => meta));
    return results;
  };
  return { metas, database: /** @type {any} */ ({
    prepare: (/** @type {string} */ sql) => meter(database.prepare(sql)),
    batch: async (/** @type {any[]} */ metering) => keep(await database.batch(metering.map(({ statement }) => statement))),
  }) };
}
