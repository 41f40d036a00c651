//! Weights in and out under the model hub's tensor names.
//!
//! The hub stores a projection as `[outputs, inputs]` and calls LayerNorm's parameters `weight` and `bias` (`gamma` and `beta` in checkpoints
//! converted from TensorFlow); Burn stores `[inputs, outputs]`, `gamma` and `beta`. Values of 16 bits become f32.
//!
//! Pickled files are read by a parser that knows how tensors are described and runs nothing: what else a pickle asks for is passed over.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::store::{
    BurnToPyTorchAdapter, ModuleSnapshot, ModuleStore, PytorchStore, SafetensorsStore,
};
use burn::tensor::{DType, Device, Tensor, TensorData};
use burn_pack::Tensor as StoredTensor;
use rayon::prelude::*;

use crate::ops::fused::transpose;

use crate::{Error, ModelConfig, ModelType, TokenClassifier};

/// File that [`TokenClassifier::save`] writes.
const SAFETENSORS: &str = "model.safetensors";

/// Files that [`TokenClassifier::load`] looks for, in this order: safetensors, pickled weights, and the index of either in several files.
pub const WEIGHT_FILES: [&str; 4] = [
    SAFETENSORS,
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
];

/// Prefix of a CRF's tensors, the same here and on the hub.
const CRF: &str = "crf.";

/// An index of weights in several files.
#[derive(serde::Deserialize)]
struct Index {
    /// File of each tensor, beside the index.
    weight_map: BTreeMap<String, String>,
}

/// What a checkpoint gave, beside the tensors that were loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadReport {
    /// The file that the weights came from, or the index of several.
    pub path: PathBuf,
    /// Why the classifier has random weights; `None` where the checkpoint's was loaded.
    pub new_classifier: Option<String>,
    /// Whether the configuration asks for a CRF that the checkpoint lacks: it begins by preferring no sequence.
    pub new_crf: bool,
    /// Tensors of the checkpoint that the model has no place for (language-model heads, poolers).
    pub unused: Vec<String>,
}

impl TokenClassifier {
    /// Loads the weights of a model directory.
    ///
    /// A classifier that the checkpoint lacks, or holds for other labels than `config` has, is drawn from `seed` and reported. Labels that the
    /// checkpoint does not name (`LABEL_0`, …) are taken for those of `config` where their number is the same.
    ///
    /// # Errors
    /// No weight file, an unreadable one, a missing encoder tensor, or one of the wrong shape.
    pub fn load(
        dir: &Path,
        config: &ModelConfig,
        device: &Device,
        seed: u64,
    ) -> Result<(Self, LoadReport), Error> {
        let path = weight_file(dir)?;
        let mut stored = read_tensors(&path)?;
        let model = Self::uninitialized(config, device);

        let mut matched = Vec::new();
        let mut missing = Vec::new();
        let mut new_classifier = other_labels(dir, config);
        let mut new_crf = false;
        for parameter in parameters(&model) {
            let name = hub_name(config.model_type, &parameter.path);
            let expected = parameter.hub_shape();
            let is_classifier = is_of_head(&name);
            match take(&mut stored, config.model_type, &name) {
                Some(tensor) if *tensor.shape == *expected => matched.push((parameter, tensor)),
                Some(tensor) if is_classifier => {
                    let (found, labels) = (tensor.shape.to_vec(), config.id2label.len());
                    new_classifier.get_or_insert_with(|| {
                        format!("the checkpoint's classifier is {found:?}, {labels} labels ask for {expected:?}")
                    });
                }
                Some(tensor) => {
                    return Err(Error::Shape {
                        path,
                        name,
                        expected,
                        found: tensor.shape.to_vec(),
                    });
                }
                // A CRF without scores prefers no sequence: the model is then its classifier alone.
                None if name.starts_with(CRF) => new_crf = true,
                None if is_classifier => {
                    new_classifier.get_or_insert_with(|| format!("the checkpoint has no {name}"));
                }
                None => missing.push(name),
            }
        }
        if !missing.is_empty() {
            return Err(Error::MissingTensors {
                path,
                names: missing,
            });
        }
        if new_classifier.is_some() {
            matched.retain(|(parameter, _)| !is_of_head(&parameter.path));
        }
        let values = matched.into_par_iter().map(|(parameter, tensor)| {
            let name = tensor.name.clone();
            let values = values(tensor, parameter.is_projection).map_err(|reason| Error::Tensor {
                path: path.clone(),
                name,
                reason,
            });
            Ok((parameter.path, values?))
        });
        let model = model.map(&mut Fill {
            path: Vec::new(),
            values: values.collect::<Result<_, Error>>()?,
            device: device.clone(),
        });
        device.seed(seed);
        let model = model.materialize();
        let unused = stored.into_keys().collect();
        Ok((
            model,
            LoadReport {
                path,
                new_classifier,
                new_crf,
                unused,
            },
        ))
    }

    /// Writes `config.json` and `model.safetensors`, which `transformers` opens with `AutoModelForTokenClassification.from_pretrained`.
    ///
    /// The weight file is written beside its final name and renamed, so that an interrupted write leaves the former one.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn save(&self, dir: &Path) -> Result<(), Error> {
        let path = dir.join(SAFETENSORS);
        let model_type = self.config().model_type;
        let views = self
            .collect(None, Some(Box::new(BurnToPyTorchAdapter)), true)
            .into_iter()
            .map(|tensor| {
                let name = hub_name(model_type, &tensor.name);
                tensor
                    .to_bytes()
                    .map(|bytes| {
                        (
                            name.clone(),
                            View {
                                shape: tensor.shape.to_vec(),
                                bytes,
                            },
                        )
                    })
                    .map_err(|e| Error::Tensor {
                        path: path.clone(),
                        name,
                        reason: format!("{e:?}"),
                    })
            });
        let views = views.collect::<Result<Vec<_>, _>>()?;
        let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
        safetensors::serialize_to_file(views, Some(metadata), &path).map_err(|e| {
            Error::WeightFile {
                path: path.clone(),
                reason: e.to_string(),
            }
        })?;
        self.config().save(dir)
    }
}

/// The values of a stored tensor as f32 and, for a projection, as Burn lays it out.
fn values(tensor: StoredTensor, is_projection: bool) -> Result<TensorData, String> {
    let (_, dtype, shape, _, bytes) = tensor.into_parts().map_err(|e| format!("{e:?}"))?;
    if !matches!(dtype, DType::F32 | DType::F16 | DType::BF16 | DType::F64) {
        return Err(format!("is of {dtype:?}, which is no weight"));
    }
    let data = TensorData::from_bytes(bytes, shape.clone(), dtype).convert::<f32>();
    if !is_projection {
        return Ok(data);
    }
    let (rows, columns) = (shape[0], shape[1]);
    let values = data.as_slice::<f32>().map_err(|e| format!("{e:?}"))?;
    Ok(TensorData::new(transpose(values, columns), [columns, rows]))
}

/// Gives parameters their values.
struct Fill {
    path: Vec<String>,
    values: HashMap<String, TensorData>,
    device: Device,
}

impl ModuleMapper for Fill {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }
    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(values) = self.values.remove(&self.path.join(".")) else {
            return param;
        };
        let id = param.id;
        param.transform_for_load(Tensor::from_data(values, &self.device), id)
    }
}

/// Bytes of one f32 tensor, as the safetensors writer wants them.
struct View<B> {
    shape: Vec<usize>,
    bytes: B,
}

impl<B: std::ops::Deref<Target = [u8]>> safetensors::View for View<B> {
    fn dtype(&self) -> safetensors::Dtype {
        safetensors::Dtype::F32
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }
    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

fn weight_file(dir: &Path) -> Result<PathBuf, Error> {
    WEIGHT_FILES
        .iter()
        .map(|name| dir.join(name))
        .find(|path| path.is_file())
        .ok_or_else(|| Error::NoWeights {
            dir: dir.to_owned(),
            looked_for: WEIGHT_FILES.map(str::to_owned).to_vec(),
        })
}

/// In what the labels of the checkpoint differ from those of `config`, so that its classifier cannot serve.
fn other_labels(dir: &Path, config: &ModelConfig) -> Option<String> {
    // A directory without a readable configuration has no labels of its own.
    let checkpoint = ModelConfig::from_dir(dir).ok()?;
    let differs = checkpoint.id2label != config.id2label
        && checkpoint.id2label.len() == config.id2label.len()
        && !checkpoint.has_placeholder_labels();
    differs.then(|| {
        let (old, new) = (checkpoint.id2label.join(", "), config.id2label.join(", "));
        format!("the checkpoint's classifier is for {old}, not for {new}")
    })
}

/// Names, shapes and not yet read data of every tensor in a file, or in the files of an index.
fn read_tensors(path: &Path) -> Result<BTreeMap<String, StoredTensor>, Error> {
    if path.extension().is_none_or(|extension| extension != "json") {
        return read_file(path);
    }
    let not_an_index = |reason: String| Error::WeightFile {
        path: path.to_owned(),
        reason,
    };
    let text = std::fs::read_to_string(path).map_err(Error::io(path))?;
    let index: Index = serde_json::from_str(&text).map_err(|e| not_an_index(e.to_string()))?;
    let files: BTreeSet<&String> = index.weight_map.values().collect();
    let mut tensors = BTreeMap::new();
    for name in files {
        if Path::new(name).file_name() != Some(name.as_ref()) {
            return Err(not_an_index(format!("`{name}` is no file beside it")));
        }
        let file = path.with_file_name(name);
        if !file.is_file() {
            return Err(not_an_index(format!("it names {name}, which is not there")));
        }
        tensors.extend(read_file(&file)?);
    }
    Ok(tensors)
}

/// The tensors of one file.
fn read_file(path: &Path) -> Result<BTreeMap<String, StoredTensor>, Error> {
    fn all<S: ModuleStore>(
        mut store: S,
        path: &Path,
    ) -> Result<BTreeMap<String, StoredTensor>, Error> {
        store
            .get_all_tensors()
            .cloned()
            .map_err(|e| Error::WeightFile {
                path: path.to_owned(),
                reason: e.to_string(),
            })
    }
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("safetensors") => all(SafetensorsStore::from_file(path), path),
        _ => all(PytorchStore::from_file(path), path),
    }
}

/// Takes a tensor by its hub name or by one of the names that other checkpoints give it.
fn take(
    stored: &mut BTreeMap<String, StoredTensor>,
    model_type: ModelType,
    name: &str,
) -> Option<StoredTensor> {
    let prefix = format!("{}.", model_type.tensor_prefix());
    let old = name
        .replace("LayerNorm.weight", "LayerNorm.gamma")
        .replace("LayerNorm.bias", "LayerNorm.beta");
    let candidates = [
        name,
        &old,
        name.trim_start_matches(&prefix),
        old.trim_start_matches(&prefix),
    ];
    candidates
        .into_iter()
        .find_map(|candidate| stored.remove(candidate))
}

/// Whether a parameter lies above the encoder; its name is the same here and on the hub.
fn is_of_head(name: &str) -> bool {
    name.starts_with("classifier.") || name.starts_with(CRF)
}

/// The hub's name of a parameter.
fn hub_name(model_type: ModelType, path: &str) -> String {
    let path = path.replace(".self_attention.", ".self.");
    let path = match path.rsplit_once('.') {
        Some((module, "gamma")) => format!("{module}.weight"),
        Some((module, "beta")) => format!("{module}.bias"),
        _ => path,
    };
    if is_of_head(&path) {
        path
    } else {
        format!(
            "{}.{}",
            model_type.tensor_prefix(),
            model_type.tensor_name(&path)
        )
    }
}

/// A parameter of a module.
struct Parameter {
    path: String,
    shape: Vec<usize>,
    is_projection: bool,
}

impl Parameter {
    fn hub_shape(&self) -> Vec<usize> {
        let mut shape = self.shape.clone();
        if self.is_projection {
            shape.reverse();
        }
        shape
    }
}

/// Every parameter of a model, without drawing its random weights.
fn parameters(model: &TokenClassifier) -> Vec<Parameter> {
    #[derive(Default)]
    struct Visitor {
        path: Vec<String>,
        containers: Vec<String>,
        found: Vec<Parameter>,
    }
    impl ModuleVisitor for Visitor {
        fn enter_module(&mut self, name: &str, container_type: &str) {
            self.path.push(name.to_owned());
            self.containers.push(container_type.to_owned());
        }
        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.path.pop();
            self.containers.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.found.push(Parameter {
                path: self.path.join("."),
                shape: param.lazy_shape().to_vec(),
                is_projection: D == 2
                    && self
                        .containers
                        .iter()
                        .any(|container| container == "Struct:Linear"),
            });
        }
    }
    let mut visitor = Visitor::default();
    model.visit(&mut visitor);
    visitor.found
}
