mod agreement;
mod reading;
mod ten_settings;
mod touched;
mod world;
