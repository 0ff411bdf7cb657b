//! `VWASM_NARROW`: taking away, when the program is started, from what it was granted when it was compiled.
//!
//! A list with commas: `memory=BYTES`, `table-elements=N`, `open-files=N`, `output=BYTES`, `timeout=MILLISECONDS`, `fuel=UNITS`
//! (if the program was compiled to count fuel), each taken if lower than what was granted; `no-directories`, `no-environment`, `no-sockets`; `confined` refuses to start unless the kernel
//! has everything that confines. Nothing here can add.

use vwasm_runtime::manifest::Grants;

/// The lower of a limit that may be absent and another.
fn lower<T: Ord + Copy>(limit: &mut Option<T>, value: T) {
    *limit = Some(limit.map_or(value, |old| old.min(value)));
}

/// Narrows the grants; gives whether full confinement is asked for, or the item that is not understood.
pub fn narrow<'a>(grants: &mut Grants, list: &'a str) -> Result<bool, &'a str> {
    let mut confined = false;
    for item in list.split(',').filter(|item| !item.is_empty()) {
        let Some((name, value)) = item.split_once('=') else {
            match item {
                "no-directories" => grants.directories.clear(),
                "no-environment" => grants.environment.clear(),
                "no-sockets" => grants.sockets.clear(),
                "confined" => confined = true,
                _ => return Err(item),
            }
            continue;
        };
        let value: u64 = value.parse().map_err(|_| item)?;
        let small = value.min(u64::from(u32::MAX)) as u32;
        match name {
            "memory" => lower(&mut grants.max_memory_pages, (value >> 16).min(1 << 16) as u32),
            "table-elements" => lower(&mut grants.max_table_elements, small),
            "open-files" => lower(&mut grants.max_open_files, small),
            "output" => lower(&mut grants.max_output, value),
            "timeout" => lower(&mut grants.timeout, value),
            // Code that does not count would not end.
            "fuel" if grants.fuel.is_some() => lower(&mut grants.fuel, value),
            _ => return Err(item),
        }
    }
    Ok(confined)
}
