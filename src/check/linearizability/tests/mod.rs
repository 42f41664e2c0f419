mod brute_force;
mod etcd_log;
mod kv_log;
mod planted;
mod recorded;
