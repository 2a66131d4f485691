/* memory and devices of other machines, over ggml's RPC: rpc.cpp */

/* Whether this llama.cpp has it. */
bool hr_rpc_available(void);
/* Connects to a server, "host:port", and adds its devices to those of this process. To be called
 * once for a server. A server that is lost later ends the process. */
int hr_rpc_add_server(const char *endpoint, int32_t *n_devices, hr_report *report);
/* Serves this machine's devices (GPUs, or else the CPU) to whoever connects; returns on failure only. */
int hr_rpc_serve(const char *endpoint, int32_t n_threads, hr_report *report);
