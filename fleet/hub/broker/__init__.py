"""The private MQTT broker: mosquitto, configured, started, watched and stopped by the hub."""
