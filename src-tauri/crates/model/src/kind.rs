use serde::{Deserialize, Serialize};

/// What a layer shows; decides its symbol. One word in profile, code, command line and style.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum LayerKind {
    Outline,
    Border,
    Communes,
    Water,
    River,
    Road,
    Place,
    AirStation,
    WaterStation,
    WastewaterStation,
    StackStation,
    WaterLevelStation,
    Camera,
    School,
    Clinic,
    IndustrialPark,
    PlanningZone,
    BorderGate,
    /// A layer made by an import whose id no profile names.
    Other,
}

impl LayerKind {
    /// True for kinds whose features carry live values from sensors.
    pub fn is_live(self) -> bool {
        matches!(
            self,
            Self::AirStation
                | Self::WaterStation
                | Self::WastewaterStation
                | Self::StackStation
                | Self::WaterLevelStation
                | Self::Camera
        )
    }

    /// The word as it stands in files and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Outline => "outline",
            Self::Border => "border",
            Self::Communes => "communes",
            Self::Water => "water",
            Self::River => "river",
            Self::Road => "road",
            Self::Place => "place",
            Self::AirStation => "air_station",
            Self::WaterStation => "water_station",
            Self::WastewaterStation => "wastewater_station",
            Self::StackStation => "stack_station",
            Self::WaterLevelStation => "water_level_station",
            Self::Camera => "camera",
            Self::School => "school",
            Self::Clinic => "clinic",
            Self::IndustrialPark => "industrial_park",
            Self::PlanningZone => "planning_zone",
            Self::BorderGate => "border_gate",
            Self::Other => "other",
        }
    }
}

/// The dimension of a layer's geometries. Multi-geometries count with their parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum GeometryKind {
    Point,
    Line,
    Polygon,
    /// Mixed dimensions: allowed for imported layers only.
    Mixed,
}

impl GeometryKind {
    /// The kind of one geometry; collections are mixed.
    pub fn of(geometry: &geo_types::Geometry<f64>) -> Self {
        use geo_types::Geometry as G;
        match geometry {
            G::Point(_) | G::MultiPoint(_) => Self::Point,
            G::Line(_) | G::LineString(_) | G::MultiLineString(_) => Self::Line,
            G::Polygon(_) | G::MultiPolygon(_) | G::Rect(_) | G::Triangle(_) => Self::Polygon,
            G::GeometryCollection(_) => Self::Mixed,
        }
    }
}
