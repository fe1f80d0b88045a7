//! Tables of rights as the front looks them up: one array access a call.

use std::collections::HashMap;

use tender_xmem::service::ServiceEntry;

use crate::link::{PluginRow, Row, Table};
use crate::services::{self, Place};

/// What is looked up for each call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Right {
    pub(crate) granted: bool,
    pub(crate) audit: bool,
}

/// What one subject may do.
#[derive(Debug)]
pub(crate) struct Rights {
    pub(crate) epoch: u64,
    pub(crate) by_service: [Right; 128],
    pub(crate) table: Table,
    rows: HashMap<u16, usize>,
    plugins: HashMap<(String, String), usize>,
}

impl Rights {
    pub(crate) fn new(epoch: u64, table: Table) -> Self {
        let mut by_service = [Right::default(); 128];
        let mut rows = HashMap::new();
        for (place, (id, row)) in table.services.iter().enumerate() {
            if let Some(right) = by_service.get_mut(usize::from(*id)) {
                *right = Right { granted: row.granted, audit: row.audit };
                rows.insert(*id, place);
            }
        }
        let named = |(place, row): (usize, &PluginRow)| ((row.plugin.clone(), row.service.clone()), place);
        let plugins = table.plugins.iter().enumerate().map(named).collect();
        Self { epoch, by_service, rows, plugins, table }
    }

    pub(crate) fn row(&self, service: u16) -> Option<&Row> {
        Some(&self.table.services[*self.rows.get(&service)?].1)
    }

    pub(crate) fn plugin(&self, plugin: &str, service: &str) -> Option<&PluginRow> {
        // Two short names; this is not the path that has to be fast.
        Some(&self.table.plugins[*self.plugins.get(&(plugin.to_owned(), service.to_owned()))?])
    }

    /// Returns what there is, and what of it may be called.
    pub(crate) fn entries(&self) -> Vec<ServiceEntry> {
        let built_in = services::ALL.iter().filter(|service| !matches!(service.place, Place::Router));
        let built_in = built_in.map(|service| ServiceEntry {
            id: service.id,
            name: service.name.to_owned(),
            version: service.version,
            granted: self.by_service[usize::from(service.id)].granted,
        });
        let of_plugins = self.table.plugins.iter().map(|row| ServiceEntry {
            id: 64,
            name: format!("{}.{}", row.plugin, row.service),
            version: row.version,
            granted: row.row.granted && row.specific.as_ref().is_none_or(|specific| specific.granted),
        });
        built_in.chain(of_plugins).collect()
    }
}
