/**
 * The page's part in `serve.py bench`: take the options from the server that started this browser, measure, send progress, every row
 * and the result over one WebSocket. The server's part is kleinbild/server/bench/.
 */

import { checkOptions } from "../bench_protocol.js";
import { converse } from "./channel.js";

/**
 * @param {string} token from the page's address
 * @param {object} parts
 * @param {import("./bench_client.js").BenchClient} parts.client
 * @param {Pick<import("./bench_view.js").BenchView, "begin"|"showProgress"|"addRow"|"finish">} parts.view
 * @param {string} parts.build of the page
 */
export async function runBenchHeadless(token, { client, view, build }) {
  await converse(token, {
    end: () => client.cancel(),
    work: async (channel) => {
      const { type: _, ...job } = /** @type {{type: "job"}} */ (await channel.receiveMessage());
      view.begin();
      const result = await client.run(checkOptions({ ...job, build }), {
        onProgress({ done, total, label }) {
          view.showProgress({ done, total, label });
          channel.send({ type: "progress", done, total, label });
        },
        onRow(row) {
          view.addRow(row);
          channel.send({ type: "row", row });
        },
      });
      view.finish(result);
      channel.send({ type: "result", result });
    },
  });
}
